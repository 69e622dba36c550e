package programs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
