package programs

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/filetree"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

// TestLargeStart starts programs with more arguments and environment than fit in the first pages of a stack.
func TestLargeStart(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		s.want(s.run(s.spec("expr", "length", strings.Repeat("y", 120_000))), 0, "120000\n")
		s.want(s.run(s.spec(append([]string{"bash", "-c", "echo $#", "-"}, strings.Fields(strings.Repeat("x ", 20_000))...)...)), 0, "20000\n")
		spec := s.spec("bash", "-c", "echo ${#BIG9}")
		for _, digit := range "0123456789" {
			spec.Env = append(spec.Env, "BIG"+string(digit)+"="+strings.Repeat("z", 100_000))
		}
		s.want(s.run(spec), 0, "100000\n")
	})
}

// TestScriptInPath starts a script by a bare name: its interpreter must be told where it was found.
func TestScriptInPath(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		bin := filepath.Join(s.base, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, "said"), []byte("#!/usr/bin/perl -w\nprint \"$0 @ARGV\\n\";\n"), 0o755); err != nil {
			s.t.Fatal(err)
		}
		spec := s.spec("true")
		spec.Argv = append(spec.Argv[:len(spec.Argv)-1], "said", "this")
		spec.Env = append(spec.Env, "PATH="+bin+":/usr/bin:/bin")
		if s.how.Variants == 0 {
			spec.Argv[0] = filepath.Join(bin, "said") // a native start looks in the test's own PATH
		}
		s.want(s.run(spec), 0, filepath.Join(bin, "said")+" this\n")
	})
}

// TestDrawnNames runs programs that say the names of temporary files which each variant draws for itself.
func TestDrawnNames(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		for _, c := range []struct {
			argv []string
			says string
		}{
			{[]string{"mktemp", "./sixXXXXXX"}, `^\./six\w{6}\n$`},
			{[]string{"mktemp", "-d", "./eight.XXXXXXXX"}, `^\./eight\.\w{8}\n$`},
			{[]string{"mktemp", "-d", "-p", "."}, `^\./tmp\.\w{10}\n$`},
		} {
			r := s.run(s.spec(c.argv...))
			if r.Status != 0 || !regexp.MustCompile(c.says).Match(r.Stdout) {
				s.t.Errorf("%q: %s", c.argv, r)
			} else if _, err := os.Stat(filepath.Join(s.base, strings.TrimSpace(string(r.Stdout)))); err != nil {
				s.t.Errorf("%q named what it did not make: %v", c.argv, err)
			}
		}
		link := filepath.Join(s.base, "link")
		for _, argv := range [][]string{{"ln", "-sf", "one", link}, {"ln", "-sf", "two", link}} {
			s.want(s.run(s.spec(argv...)), 0, "")
		}
		if to, err := os.Readlink(link); err != nil || to != "two" {
			s.t.Errorf("the link leads to %q: %v", to, err)
		}
		s.want(s.run(s.spec("ln", "-f", s.behave, link)), 0, "")
		if left, _ := filepath.Glob(filepath.Join(s.base, "Cu*")); len(left) > 0 {
			s.t.Errorf("left behind: %q", left)
		}
	})
}

// TestByteCode imports modules that have no byte code yet: Python writes it to a file that is named after an address, and
// gives it its own name when it is whole. The second run reads it. One module is compiled again within a run.
func TestByteCode(t *testing.T) {
	const program = `
import importlib, os, sys
import one, sub.two
open("one.py", "a").write("more = 2\n")
os.utime("one.py", (5, 5))
importlib.reload(one)
os.utime("sub/two.py", (6, 6))
importlib.reload(sub.two)
print(one.more, sub.two.here, sorted(os.listdir("__pycache__")) == [os.path.basename(one.__cached__)])
`
	nativelyAndMonitored(t, func(s stage) {
		ways := []target.How{s.how}
		if s.how.Variants > 0 {
			ways = Matrix
		}
		for _, s.how = range ways {
			for _, mode := range []os.FileMode{0o644, 0o600} { // of a source, which its byte code has too
				dir := filepath.Join(s.base, "modules")
				if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, "sub"), 0o755)); err != nil {
					s.t.Fatal(err)
				}
				var cached [2][]string
				for i := range cached {
					for name, text := range map[string]string{"one.py": "more = 1\n", "sub/two.py": "here = __name__\n"} {
						path := filepath.Join(dir, name)
						old := time.Unix(1e9, 0)
						if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chtimes(path, old, old)); err != nil {
							s.t.Fatal(err)
						}
					}
					spec := s.spec("/usr/bin/python3", "-c", program)
					spec.Dir = dir
					s.want(s.run(spec), 0, "2 sub.two True\n")
					files, err := filetree.Describe(dir, false)
					if err != nil {
						s.t.Fatal(err)
					}
					cached[i] = files
					for _, f := range files {
						if regexp.MustCompile(`\.pyc\.\d`).MatchString(f) {
							s.t.Errorf("%s: left behind: %s", s.how, f)
						}
					}
					for _, part := range []string{"__pycache__/one.*.pyc", "sub/__pycache__/two.*.pyc"} {
						if found, _ := filepath.Glob(filepath.Join(dir, part)); len(found) != 1 {
							s.t.Errorf("%s: byte code of %s: %q", s.how, part, found)
						}
					}
				}
				if !slices.Equal(cached[0], cached[1]) {
					s.t.Errorf("%s: two runs leave other files:\n%q\n%q", s.how, cached[0], cached[1])
				}
			}
		}
	})
}

// TestIdleRegisters makes calls of which some registers mean nothing and hold what differs between variants.
func TestIdleRegisters(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		r := s.run(s.spec("perl", "-e", `
			my $here = 0 + \1; # an address
			syscall(157, 23, 0, $here, $here, $here) >= 0 or die "prctl(PR_CAPBSET_READ): $!";
			my $path = "/dev/null";
			my $fd = syscall(257, -100, $path, 0, $here);
			$fd >= 0 or die "openat: $!";
			print "done\n"`))
		s.want(r, 0, "done\n")
	})
}

// TestAddressSanitizer runs a program whose allocator takes a part of the address space without asking whether it is free. The
// search for leaks, which starts a thread, is switched off.
func TestAddressSanitizer(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		program, err := cprog.Sanitized.Compile(source("c", "behave.c"), s.base)
		if err != nil {
			s.t.Fatal(err)
		}
		spec := s.spec(program, "streams")
		spec.Env = append(spec.Env, "ASAN_OPTIONS=detect_leaks=0")
		s.want(s.run(spec), 0, "to stdout\n")
	})
}

// TestMappingsAfterAudit maps files when the only follower has been dropped: nobody is there to be handed their descriptors.
func TestMappingsAfterAudit(t *testing.T) {
	requireBuilt(t)
	base := scratch.Dir(t)
	group := filepath.Join(base, "audit.yaml")
	if err := os.WriteFile(group, []byte("leader: 1\nvariants: [{id: 1}, {id: 2}]\non_divergence: audit\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := proc.Run(proc.Spec{
		Argv: []string{target.Built("monmod"), "run", "--logs", filepath.Join(base, "state"), "--config", group, "--", "perl", "-e",
			`syswrite STDOUT, \my $x; require POSIX; print "\n", POSIX::floor(2.5), "\n"`},
		Dir: base, Env: target.Env(base), Deadline: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 0 || !strings.HasSuffix(string(r.Stdout), ")\n2\n") || takeReports(base) == "" {
		t.Errorf("want a report and the leader's end: %s", r)
	}
}
