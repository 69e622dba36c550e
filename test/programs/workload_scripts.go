package programs

import (
	"path/filepath"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/servers"
	"github.com/monmod/monmod/test/internal/target"
)

var scriptWorkloads = []Workload{
	{Name: "python sets", AnyOrder: true, Argv: command("python3", source("testdata", "sets.py")), Also: []target.How{twoRW, threeFull}},
	{Name: "python data", Argv: command("python3", source("testdata", "data.py"))},
	{Name: "python files", Prepare: writeTree, Argv: command("python3", source("testdata", "files.py")), Also: []target.How{threeRW}},
	{Name: "python sockets", Argv: command("python3", source("testdata", "sockets.py"))},
	{Name: "python signals", Argv: command("python3", source("testdata", "signals.py"))},
	{Name: "perl text", Prepare: writeText, AnyOrder: true, Argv: command("perl", source("testdata", "text.pl"), "in/text"), Also: []target.How{twoRW}},
	{Name: "perl files", Argv: command("perl", source("testdata", "files.pl"))},
	{Name: "bc", Argv: command("bc", "-l", "-q", source("testdata", "pi.bc")), Also: []target.How{threeFull}},
	{Name: "dash built-ins", Fill: fill("lines", "one 1\ntwo 2\nthree 3\n"), Argv: command("dash", source("testdata", "builtins.sh"))},
	{Name: "sed", Prepare: writeText, Into: "out", Argv: command("sed", "-E", "s/([a-z]+) ([a-z]+)/\\2 \\1/; /lambda/d", "in/text")},
	{Name: "env", Argv: command("env")},
}

// buildWorkloads runs the tests' own programs, built against each C library dynamically and statically.
func buildWorkloads() []Workload {
	var all []Workload
	for i, build := range cprog.All {
		// Each build gets another of the further ways, so that the sample meets all of them.
		also := []target.How{Matrix[1+i%3]}
		compile := func(name string) func(Ground) error {
			return func(g Ground) error {
				_, err := build.Compile(source("c", name+".c"), g.In)
				return err
			}
		}
		all = append(all,
			Workload{
				Name: "own calls, " + build.Name, Prepare: compile("calls"), Also: also,
				Argv: func(g Ground) []string { return []string{filepath.Join(g.In, "calls-"+build.Name)} },
			},
			Workload{
				Name: "own server, " + build.Name, Also: also,
				Prepare: func(g Ground) error {
					if err := writeDocs(g); err != nil {
						return err
					}
					return compile("server")(g)
				},
				Serve: func(g Ground) servers.Server {
					return servers.C("own server, "+build.Name, filepath.Join(g.In, "server-"+build.Name))
				},
			})
	}
	return all
}
