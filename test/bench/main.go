// Command bench measures what monitoring costs, always as the ratio to the same thing unmonitored in the same run: web servers
// under wrk, and single system calls by the second. It writes the table of docs/benchmarks.md. Nothing else lives here: what a
// server is, and how programs are started and ended, is shared with the tests.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/monmod/monmod/test/internal/machine"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

// options is what the command line chooses.
type options struct {
	against   string
	variants  int
	pairs     int
	duration  time.Duration
	callTime  time.Duration
	policies  []string
	servers   []string
	calls     []string
	serverCPU string
	clientCPU string
	out       string
}

func main() {
	o := parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	var policies, servers, calls string
	flag.StringVar(&o.against, "against", "native", "what servers are compared with: native (and monmod run), or runc (and monmod-runtime)")
	flag.IntVar(&o.variants, "variants", 2, "number of variants")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of measurements of which the median ratio is shown")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "length of one run of wrk, in whole seconds")
	flag.DurationVar(&o.callTime, "call-time", time.Second, "length of one measurement of a system call")
	flag.StringVar(&policies, "policies", "full,socket_rw", "policies, separated by commas")
	flag.StringVar(&servers, "servers", "lighttpd,nginx", "servers, separated by commas; empty for none")
	flag.StringVar(&calls, "calls", strings.Join(allCalls, ","), "system calls, separated by commas; empty for none")
	flag.StringVar(&o.serverCPU, "server-cpus", "", "CPUs that the server and all its variants may use, as taskset spells them; empty for all")
	flag.StringVar(&o.clientCPU, "client-cpus", "", "CPUs that wrk may use; empty for all")
	flag.StringVar(&o.out, "out", "", "file for the table, from the tree's top folder; empty for standard output alone")
	flag.Parse()
	o.policies, o.servers, o.calls = list(policies), list(servers), list(calls)
	return o
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func run(o options) error {
	if o.pairs < 1 || o.duration < time.Second || o.callTime < 10*time.Millisecond || o.variants < 2 {
		return fmt.Errorf("measure %d pairs of %v and %v with %d variants: at least 1 pair, 1s, 10ms and 2 variants", o.pairs, o.duration, o.callTime, o.variants)
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: see -help", flag.Arg(0))
	}
	built := []string{"monmod", "libmonmod.so"}
	switch o.against {
	case "native":
	case "runc":
		built = append(built, "monmod-runtime")
	default:
		return fmt.Errorf("compare with %q: it must be native or runc", o.against)
	}
	if err := target.CheckBuilt(built...); err != nil {
		return err
	}
	if err := proc.AdoptOrphans(); err != nil {
		return err
	}
	base, err := scratch.New()
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)

	var rows []row
	var failed error
	for _, measure := range []func(options, string) ([]row, error){measureServers, measureCalls} {
		more, err := measure(o, base)
		rows = append(rows, more...)
		if err != nil {
			failed = err
			break
		}
	}
	text := markdown(rows, o, machine.Describe())
	os.Stdout.Write(text)
	if failed != nil {
		return fmt.Errorf("the table is incomplete and was not written: %w", failed)
	}
	if o.out == "" {
		return nil
	}
	path := o.out
	if !filepath.IsAbs(path) {
		path = filepath.Join(target.Root(), path)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}
