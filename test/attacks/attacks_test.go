// Package attacks runs exploits against the vulnerable server of examples/vulnerable: each first natively, where it must
// work, then against variants, where it must be stopped before any of its output and before any new program.
//
// The exploits themselves are in examples/vulnerable/exploit. Nothing here relies on address space randomisation: each
// exploit is given the real addresses of the process it attacks.
package attacks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/examples/vulnerable"
	"github.com/monmod/monmod/examples/vulnerable/exploit"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

const (
	attackLimit    = 15 * time.Second
	exitDivergence = 70
)

var (
	programs vulnerable.Programs
	// variants is how the attacked server is monitored.
	variants = target.How{Variants: 2, Policy: "full"}
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	// An attacked server that dies leaves no core file.
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return 0, fmt.Errorf("switching core files off: %w", err)
	}
	if err := proc.AdoptOrphans(); err != nil {
		return 0, err
	}
	dir, err := scratch.New()
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if programs, err = vulnerable.Build(context.Background(), dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// attack carries out one attack on a running server. It returns what the server answered, whether the goal was reached, and
// the file that must not exist if it was not.
func attack(t *testing.T, s *server, a exploit.Attack) (reply string, reached bool, file string) {
	t.Helper()
	goal := exploit.Goal{Secret: s.secret, Marker: "pwned" + filepath.Base(s.dir)[3:], File: filepath.Join(s.dir, "created")}
	reply, reached, err := a.Run(s.address, s.aim(t), goal, attackLimit)
	if err != nil {
		t.Fatalf("%v\nanswer so far: %q", err, reply)
	}
	return reply, reached, goal.File
}

// mustWork proves that the attack works on the unmonitored program.
func mustWork(t *testing.T, program string, a exploit.Attack) {
	t.Helper()
	s := start(t, target.Native, program)
	if reply, reached, _ := attack(t, s, a); !reached {
		t.Fatalf("the attack does not work on the unmonitored %s, so that stopping it proves nothing; answer %q",
			filepath.Base(program), reply)
	}
	s.stop()
}

func TestAttackIsStopped(t *testing.T) {
	for _, a := range exploit.Attacks {
		t.Run(a.Name, func(t *testing.T) {
			mustWork(t, programs.PIE, a)
			mustBeStopped(t, programs.PIE, a)
		})
	}
}

// mustBeStopped attacks the monitored program and checks that nothing of the attack got out.
func mustBeStopped(t *testing.T, program string, a exploit.Attack) {
	t.Helper()
	s := start(t, variants, program)
	reply, reached, file := attack(t, s, a)
	if !strings.HasPrefix(a.Harmless, reply) {
		t.Errorf("the attack's output left the machine: answer %q, where at most %q is harmless", reply, a.Harmless)
	}
	if reached {
		t.Errorf("the attack reached its goal; answer %q", reply)
	}
	result := s.end()
	if result.Status != exitDivergence {
		t.Errorf("the group ended with %d, not %d: %s", result.Status, exitDivergence, result)
	}
	if _, err := os.Lstat(file); err == nil {
		t.Errorf("the attack created %s: a new program ran", file)
	}
	reports := s.reports(t)
	if len(reports) != 1 {
		t.Fatalf("the group wrote %d reports, not 1: %s", len(reports), result)
	}
	// The report has to be of the attack's own first call: a group that ended before, for whatever reason, stopped nothing.
	if r := reports[0]; r.Leader.Call.Name != a.Call || r.ExitCode != exitDivergence || r.Policy != variants.Policy || r.Headline == "" {
		t.Errorf("the report is not of the attack's %s: %+v", a.Call, r)
	}
}

// TestNonPIE is the control: where every variant has the program's code at the same addresses, an attack that needs no other
// address works on all of them alike and is not stopped; a warning has said so beforehand. What needs the address of a
// library, of the stack or of mapped memory is stopped as ever.
func TestNonPIE(t *testing.T) {
	for _, a := range exploit.Attacks {
		t.Run(a.Name, func(t *testing.T) {
			mustWork(t, programs.NoPIE, a)
			if !a.Static {
				mustBeStopped(t, programs.NoPIE, a)
				return
			}
			s := start(t, variants, programs.NoPIE)
			if !s.warnedOf(t, "non-PIE") {
				t.Errorf("no event of the group says that the program is non-PIE; files of the group: %q", s.written(t, ""))
			}
			if reply, reached, _ := attack(t, s, a); !reached {
				t.Errorf("the attack did not work on all variants alike; answer %q", reply)
			}
			s.stop()
		})
	}
}

// warnedOf says whether an event of the group holds the text.
func (s *server) warnedOf(t *testing.T, text string) bool {
	t.Helper()
	for _, file := range s.written(t, "") {
		content, err := os.ReadFile(file)
		if err == nil && bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

// TestServesWhileMonitored makes sure that what is attacked really served: an attack on a server that answers nothing would
// look as if it were stopped.
func TestServesWhileMonitored(t *testing.T) {
	conversation := "GREET 3\nannNOTE 5\nhelloSHOW\nECHO plain text\nEXPORT\nQUIT\n"
	want := "hello\nnoted\nhello\nplain text\nerror: unknown request, or not in maintenance\n"
	for _, how := range []target.How{target.Native, variants} {
		t.Run(how.String(), func(t *testing.T) {
			s := start(t, how, programs.PIE)
			if got := talk(t, s.address, conversation); got != want {
				t.Errorf("the server answered %q, not %q", got, want)
			}
			if code := s.stop(); code != 0 {
				t.Errorf("the server ended with %d when it was told to stop: %s", code, s.Wait())
			}
		})
	}
}
