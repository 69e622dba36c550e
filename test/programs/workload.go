// Package programs runs ordinary programs natively and as the variants of `monmod run` and compares what they did: output,
// exit status, files, answers to clients. It holds the table of workloads, the comparison and the table of results that
// docs/compatibility.md shows. How processes are started and ended is package proc's, not its.
package programs

import (
	"path/filepath"

	"github.com/monmod/monmod/test/internal/servers"
	"github.com/monmod/monmod/test/internal/target"
)

// Ground is what a workload stands on. In is filled once and only read by programs, so that every run sees the same inodes
// and times; Run is the working directory, new at each run, where the link "in" leads to In.
type Ground struct {
	In     string
	Run    string
	Origin string // address of the tests' own web server, which serves the pages of package servers
}

// Workload is one program and what it is given to do. Exactly one of Argv, Serve and Inetd is set.
type Workload struct {
	Name string

	// Prepare fills g.In, Fill fills g.Run; either may be nil.
	Prepare func(g Ground) error
	Fill    func(g Ground) error

	// Argv is the command of a program that runs to its end.
	Argv func(g Ground) []string
	// Serve returns the server that a client visits and SIGTERM ends.
	Serve func(g Ground) servers.Server
	// Inetd is the command of a program that serves the one connection that is its standard input and output.
	Inetd func(g Ground) []string

	Stdin    string // file below In that is standard input; "" is /dev/null
	Into     string // file below Run that is standard output; "" is a pipe
	AnyOrder bool   // lines of output come in an order that chance decides, natively too
	Times    bool   // the files' times of last change are the program's work and compared

	// Also lists the further ways in which the quick sample runs it, beside two variants under the full policy.
	Also []target.How
}

// The ways that the matrix is made of.
var (
	twoFull   = target.How{Variants: 2, Policy: "full"}
	threeFull = target.How{Variants: 3, Policy: "full"}
	twoRW     = target.How{Variants: 2, Policy: "socket_rw"}
	threeRW   = target.How{Variants: 3, Policy: "socket_rw"}

	// Matrix lists every way in which a soak runs each workload.
	Matrix = []target.How{twoFull, twoRW, threeFull, threeRW}
)

// Workloads is the whole table.
func Workloads() []Workload {
	var all []Workload
	for _, part := range [][]Workload{serverWorkloads, fileWorkloads, scriptWorkloads, buildWorkloads()} {
		all = append(all, part...)
	}
	return all
}

// command is an Argv that is the same on every ground.
func command(argv ...string) func(Ground) []string {
	return func(Ground) []string { return argv }
}

func source(elem ...string) string {
	return filepath.Join(append([]string{target.Root(), "test", "programs"}, elem...)...)
}
