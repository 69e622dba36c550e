package runtime

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, args         string
		command, container string
		bundle, log        string
		require            bool
		lowLevel           string
		help, doubt        bool
		passed             string // where it differs from args
	}{
		{name: "containerd", args: "--root /run/containerd/runc/moby --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid abc",
			command: "create", container: "abc", bundle: "/b", log: "/b/log.json"},
		{name: "podman", args: "--root=/run/runc --systemd-cgroup create -b /b --pid-file /p abc", command: "create", container: "abc", bundle: "/b"},
		{name: "single dash", args: "-log /l run -bundle=/b abc", command: "run", container: "abc", bundle: "/b", log: "/l"},
		{name: "flags after the ID", args: "create abc --bundle /b", command: "create", container: "abc", bundle: "/b"},
		{name: "the last one counts", args: "create -b /a --bundle /b abc", command: "create", container: "abc", bundle: "/b"},
		{name: "a value like a flag", args: "create --pid-file --bundle -b /b abc", command: "create", container: "abc", bundle: "/b"},
		{name: "end of flags", args: "create -b /b -- abc", command: "create", container: "abc", bundle: "/b"},
		{name: "own flags", args: "--require --low-level /usr/bin/crun --log /l create -b /b abc", command: "create", container: "abc", bundle: "/b", log: "/l",
			require: true, lowLevel: "/usr/bin/crun", passed: "--log /l create -b /b abc"},
		{name: "own flag as a name", args: "create -b /b --require", command: "create", bundle: "/b", doubt: true},
		{name: "exec in order", args: "exec -t abc sh -c x --bundle /b", command: "exec", container: "abc"},
		{name: "exec process", args: "exec --process /p --detach abc", command: "exec", container: "abc"},
		{name: "help", args: "checkpoint --help", command: "checkpoint", help: true},
		{name: "help of its true", args: "run --help=true -b /b abc", command: "run", container: "abc", bundle: "/b", help: true},
		{name: "no help", args: "run --help=false -b /b abc", command: "run", container: "abc", bundle: "/b"},
		{name: "no help, short", args: "exec -h=0 abc sh", command: "exec", container: "abc"},
		{name: "help and none", args: "run --help --usage=false -b /b abc", command: "run", container: "abc", bundle: "/b"},
		{name: "end of global flags", args: "--root /r -- create -b /b abc", command: "--", doubt: true},
		{name: "a dash alone", args: "- create -b /b abc", command: "-", doubt: true},
		{name: "flag without value", args: "restore --lsm-mount-context", command: "restore", doubt: true},
		{name: "unknown flag", args: "create --new x --bundle /b abc", command: "create", container: "x", bundle: "/b", doubt: true},
		{name: "unknown global flag", args: "--new x create --bundle /b abc", command: "x", doubt: true},
		{name: "attached value", args: "create -b/b abc", command: "create", container: "abc", doubt: true},
		{name: "two containers", args: "create -b /b abc def", command: "create", container: "abc", bundle: "/b", doubt: true},
		{name: "no container", args: "run", command: "run", doubt: true},
		{name: "crun's file", args: "create -f other.json abc", command: "create", container: "abc"},
		{name: "no command", args: "--version"},
		{name: "nothing"},
		{name: "a command of the other's", args: "list abc", command: "list"},
		{name: "update", args: "update --memory 64M --cpu-share=3 abc", command: "update", container: "abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := Parse(strings.Fields(c.args))
			if err != nil {
				t.Fatal(err)
			}
			bundle, _ := inv.Flag("bundle")
			log, _ := inv.Global("log")
			if inv.Command != c.command || inv.Container != c.container || bundle != c.bundle || log != c.log ||
				inv.Require != c.require || inv.LowLevel != c.lowLevel || inv.Help != c.help || (inv.Doubt != "") != c.doubt {
				t.Errorf("got %+v", inv)
			}
			want := c.args
			if c.passed != "" {
				want = c.passed
			}
			if got := strings.Join(inv.Args, " "); got != want {
				t.Errorf("passes on %q, want %q", got, want)
			}
		})
	}
}

func TestParseRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--require=yes create":      "--require takes no value",
		"--low-level":               "--low-level has no value",
		"--low-level= create -b /b": "--low-level has no value",
	} {
		if _, err := Parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

// FuzzArgv: whatever the words are, all but the two own flags reach the
// low-level runtime in their order, and what cannot be the name of a command is
// not taken for one.
func FuzzArgv(f *testing.F) {
	for _, s := range []string{"--root /r create -b /b id", "--require --low-level x run id", "exec -e A=b id sh -c --", "--log", "- -- --= -=", "-- create id", "run --help=false id"} {
		f.Add(strings.ReplaceAll(s, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, s string) {
		args := strings.Split(s, "\n")
		inv, err := Parse(args)
		if err != nil {
			return
		}
		if strings.HasPrefix(inv.Command, "-") && inv.Doubt == "" {
			t.Fatalf("%q is taken for the command %q", args, inv.Command)
		}
		own := 0
		if inv.Require {
			own++
		}
		rest := args
		for _, word := range inv.Args {
			i := slices.Index(rest, word)
			if i < 0 {
				t.Fatalf("%q became %q", args, inv.Args)
			}
			rest = rest[i+1:]
		}
		if len(inv.Args) == len(args) && (own > 0 || inv.LowLevel != "") {
			t.Fatalf("%q: own flags are passed on", args)
		}
		if !inv.Require && inv.LowLevel == "" && !slices.Equal(inv.Args, args) {
			t.Fatalf("%q became %q without an own flag", args, inv.Args)
		}
	})
}
