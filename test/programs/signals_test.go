package programs

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

var waits = []string{"epoll", "poll", "ppoll", "select", "pselect", "pause", "sigsuspend"}

// TestSignalBeforeWait guards against a wait that sleeps over the signal which the program would natively have seen before:
// the program computes while its timer runs out, looks at what its handler has set, and waits for ever if it has set nothing.
func TestSignalBeforeWait(t *testing.T) {
	inWays(t, []target.How{target.Native, twoFull, twoRW}, func(s stage) {
		for _, how := range waits {
			s.want(s.run(s.spec(s.behave, "early", how)), 0, "1\n")
		}
	})
}

// TestSignalWhileWaitIsCompared holds the follower up, so that the signal arrives when the leader has left its last call, and
// waits until the follower has compared the next one: the one that waits.
func TestSignalWhileWaitIsCompared(t *testing.T) {
	inWays(t, []target.How{twoFull, twoRW}, func(s stage) {
		for _, how := range waits {
			p := s.start(s.spec(s.behave, "late", how))
			leader := s.firstLinePid(p)
			follower := s.twin(p, leader)
			if err := syscall.Kill(follower, syscall.SIGSTOP); err != nil {
				s.t.Fatal(err)
			}
			time.Sleep(400 * time.Millisecond) // the program sleeps for half of this
			for _, step := range []struct {
				pid int
				sig syscall.Signal
			}{{leader, syscall.SIGUSR1}, {follower, syscall.SIGCONT}} {
				if err := syscall.Kill(step.pid, step.sig); err != nil {
					s.t.Fatal(err)
				}
			}
			if s.want(p.Wait(), 0, fmt.Sprintf("%d\n1\n", leader)); s.t.Failed() {
				return
			}
		}
	})
}

// twin finds the other variant of a pair: the process of the same program.
func (s stage) twin(p *proc.Process, leader int) int {
	s.t.Helper()
	want, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", leader))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pid := range proc.Children(p.Pid()) {
		if got, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); pid != leader && strings.TrimRight(string(got), "\x00") == strings.TrimRight(string(want), "\x00") {
			return pid
		}
	}
	s.t.Fatalf("no other variant of %q among the children of %d", want, p.Pid())
	return 0
}
