package conformance

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var nativeOnly = flag.Bool("native", false, "run everything natively: checks that the programs are deterministic")

// sample names what the builds other than the first run by default: all NORMAL cases of a program in one process, and
// some endings.
var sample = map[string][]string{
	"credentials": {"drop_for_good", "session_of_its_own"},
	"endings":     {"exit_3", "aborts", "killed_term", "fault_null", "stack_overflow", "exit_in_handler"},
	"fileio":      {"all", "standard_input"},
}

// selection says which cases of a program a toolchain runs: all for the first one and for those that
// MONMOD_CONFORMANCE_LIBC names (a list with commas), which then are the only ones.
func selection(tc toolchain, p program) []string {
	wanted := os.Getenv("MONMOD_CONFORMANCE_LIBC")
	if wanted != "" && !slices.Contains(strings.Split(wanted, ","), tc.name) {
		return nil
	}
	if wanted == "" && tc.name != toolchains[0].name {
		if names, ok := sample[p.name]; ok {
			return names
		}
		for _, c := range p.cases {
			if c.kind == "normal" {
				return []string{"all"}
			}
		}
		return nil
	}
	var names []string
	for _, c := range p.cases {
		if c.kind == "normal" || c.kind == "alone" {
			names = append(names, c.name)
		}
	}
	return names
}

// TestConformance runs each case natively and monitored and compares what comes out.
func TestConformance(t *testing.T) {
	for _, tc := range toolchains {
		for _, p := range programs(t) {
			for _, name := range selection(tc, p) {
				t.Run(tc.name+"/"+p.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					path, at := compiled(t, tc, p.name), newPlace(t)
					compare(t, at, path, name)
				})
			}
		}
	}
}

// compare runs a case natively and monitored, and fails where its parent could tell one from the other.
func compare(t *testing.T, at place, path, name string) {
	t.Helper()
	want := at.native(t, path, name)
	if want.status == 99 || !strings.Contains(want.stdout, ": ") {
		t.Fatalf("the case does not run natively: status %d\n%s%s", want.status, tail(want.stdout), want.stderr)
	}
	again := at.native
	if !*nativeOnly {
		again = at.monitored
	}
	got := again(t, path, name)
	if d := difference(want.stdout, got.stdout); d != "" {
		t.Errorf("standard output:\n%s", d)
	}
	if d := difference(want.stderr, withoutNotices(got.stderr)); d != "" {
		t.Errorf("standard error:\n%s", d)
	}
	if want.status != got.status {
		t.Errorf("exit status %d, natively %d; standard error ends\n%s", got.status, want.status, tail(got.stderr))
	}
}

// TestStandardInput reads standard input where it is no pipe: its kind decides what seeking and the end look like.
func TestStandardInput(t *testing.T) {
	for _, kind := range []string{"file", "null"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			path, at := compiled(t, toolchains[0], "fileio"), newPlace(t)
			at.stdin = "/dev/null"
			if kind == "file" {
				at.stdin = filepath.Join(at.base, "input")
				if err := os.WriteFile(at.stdin, []byte(input), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, at, path, "standard_input")
		})
	}
}

// expectation is a line that EXPECT prints: step = result want names.
var expectation = regexp.MustCompile(`^(.*) = (\S+) want (\S+)$`)

// TestRefused runs what monitoring refuses: every step fails with one of the errors that it names.
func TestRefused(t *testing.T) {
	for _, p := range programs(t) {
		for _, c := range p.cases {
			if c.kind != "refused" {
				continue
			}
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				path, at := compiled(t, toolchains[0], p.name), newPlace(t)
				want := at.native(t, path, c.name)
				steps := strings.Count(want.stdout, " want ")
				if want.status != 0 || steps == 0 {
					t.Fatalf("the case does not run natively: status %d\n%s%s", want.status, tail(want.stdout), want.stderr)
				}
				if *nativeOnly {
					return
				}
				got := at.monitored(t, path, c.name)
				for _, line := range strings.Split(got.stdout, "\n") {
					m := expectation.FindStringSubmatch(line)
					if m == nil {
						continue
					}
					steps--
					if !slices.Contains(strings.Split(m[3], "|"), m[2]) {
						t.Errorf("%s = %s, want %s", m[1], m[2], m[3])
					}
				}
				if steps != 0 || got.status != 0 {
					t.Errorf("status %d, %d steps are missing; it ended with\n%s%s", got.status, steps, tail(got.stdout), tail(got.stderr))
				}
			})
		}
	}
}

// segmentationFault is the status of a program that a SIGSEGV of its own ends, 128+n as a shell says it.
const segmentationFault = 128 + int(syscall.SIGSEGV)

// TestEnds runs what this version cannot monitor: the program ends before the call has any effect, and the message
// names the call.
func TestEnds(t *testing.T) {
	for _, p := range programs(t) {
		for _, c := range p.cases {
			if c.kind != "ends" {
				continue
			}
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				path, at := compiled(t, toolchains[0], p.name), newPlace(t)
				want := at.native(t, path, c.name)
				if want.status == 99 {
					t.Fatalf("the case does not run natively:\n%s%s", tail(want.stdout), want.stderr)
				}
				if *nativeOnly {
					return
				}
				got := at.monitored(t, path, c.name)
				if got.stdout != "" {
					t.Errorf("the program went on and printed:\n%s", tail(got.stdout))
				}
				if c.name == "other_entry" && want.status == segmentationFault {
					// The instruction faults where the kernel runs no 32-bit programs
					// (ia32_emulation=off): nothing was called, and the program ends as it does alone.
					if got.status != want.status || got.stderr != want.stderr {
						t.Errorf("status %d, want %d as without a monitor:\n%s", got.status, want.status, tail(got.stderr))
					}
					return
				}
				if got.status == 0 || got.status == segmentationFault {
					t.Errorf("exit status %d, want one that says that the monitor ended it; alone it is %d", got.status, want.status)
				}
				named := c.calls[0]
				if named != "none" && !strings.Contains(got.stderr, named) {
					t.Errorf("the message does not name %s:\n%s", named, tail(got.stderr))
				} else if !strings.Contains(got.stderr, "monmod") {
					t.Errorf("there is no message:\n%s", tail(got.stderr))
				}
			})
		}
	}
}
