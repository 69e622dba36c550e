package programs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

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
			stdin, feed, err := os.Pipe()
			if err != nil {
				s.t.Fatal(err)
			}
			defer stdin.Close()
			defer feed.Close()
			spec := s.spec(s.behave, "late", how)
			spec.Stdin = stdin
			p := s.start(spec)
			leader := s.firstLinePid(p)
			follower := s.twin(p, leader)
			reads := func(call string) bool { return call == strconv.Itoa(syscall.SYS_READ) }
			s.untilCall(leader, reads)
			if err := syscall.Kill(follower, syscall.SIGSTOP); err != nil {
				s.t.Fatal(err)
			}
			if _, err := feed.Write([]byte{1}); err != nil {
				s.t.Fatal(err)
			}
			s.untilCall(leader, func(call string) bool { return call != "running" && !reads(call) })
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

// TestFloodOfSignals sends more real-time signals than the monitor's stack has room for frames: while the program is stopped, so
// that they arrive at once, and while it runs. Natively none is lost, and each has a value.
func TestFloodOfSignals(t *testing.T) {
	const many, first = 1000, 34
	inWays(t, []target.How{target.Native, twoFull, twoRW}, func(s stage) {
		for _, stop := range []bool{true, false} {
			spec := s.spec(s.behave, "flood", strconv.Itoa(many))
			spec.Attr = &syscall.SysProcAttr{Setsid: true} // a terminal would make it a job, which stops as a whole
			p := s.start(spec)
			pid := s.firstLinePid(p)
			if stop {
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					s.t.Fatal(err)
				}
			}
			sum := 0
			for i := range many {
				number := first + i%4
				if err := queue(pid, number, i); err != nil {
					s.t.Fatal(err)
				}
				sum += number*10000 + i
			}
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				s.t.Fatal(err)
			}
			s.want(p.Wait(), 0, fmt.Sprintf("%d\n%d %d\n", pid, many, sum))
		}
	})
}

// TestSignalToFollower sends signals to the follower, which passes them on: whoever looks for a program's process finds them all.
func TestSignalToFollower(t *testing.T) {
	inWays(t, []target.How{twoFull}, func(s stage) {
		p := s.start(s.spec(s.behave, "flood", "4"))
		leader := s.firstLinePid(p)
		follower, sum := s.twin(p, leader), 0
		for sig := syscall.Signal(34); sig < 38; sig++ {
			if err := syscall.Kill(follower, sig); err != nil {
				s.t.Fatal(err)
			}
			sum += int(sig) * 10000
		}
		s.want(p.Wait(), 0, fmt.Sprintf("%d\n4 %d\n", leader, sum))
	})
}

// TestFirstRealTimeSignals sends the first real-time signals to what was started. monmod passes them on, SIGRTMIN among them,
// which Go has no way to catch.
func TestFirstRealTimeSignals(t *testing.T) {
	const many, first = 4, 34
	nativelyAndMonitored(t, func(s stage) {
		p := s.start(s.spec(s.behave, "flood", strconv.Itoa(many)))
		pid := s.firstLinePid(p)
		sum := 0
		for i := range many {
			if err := p.Signal(syscall.Signal(first + i)); err != nil {
				s.t.Fatal(err)
			}
			sum += (first + i) * 10000
		}
		s.want(p.Wait(), 0, fmt.Sprintf("%d\n%d %d\n", pid, many, sum))
	})
}

// TestSignalsWhereItComputes: such a signal waits for 100 ms of computing, and every follower takes it soon after the leader.
func TestSignalsWhereItComputes(t *testing.T) {
	const many, each = 20, 300 * time.Millisecond
	inWays(t, []target.How{twoFull, twoRW}, func(s stage) {
		began := time.Now()
		s.want(s.run(s.spec(s.behave, "compute", strconv.Itoa(many))), 0, "rang\n")
		if took := time.Since(began); took > many*each {
			s.t.Errorf("%d signals took %v, want at most %v for each", many, took, each)
		}
	})
}

// queue is sigqueue(3).
func queue(pid, number, value int) error {
	info := struct {
		signo, errno, code, pad int32
		pid, uid                int32
		value                   uint64
		rest                    [96]byte
	}{signo: int32(number), code: -1, pid: int32(os.Getpid()), uid: int32(os.Getuid()), value: uint64(value)} // SI_QUEUE
	if _, _, e := syscall.RawSyscall(syscall.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(number), uintptr(unsafe.Pointer(&info))); e != 0 {
		return fmt.Errorf("queue signal %d for process %d: %w", number, pid, e)
	}
	return nil
}

// untilCall waits until a process sleeps in a call, by its number, as was asked for.
func (s stage) untilCall(pid int, ok func(call string) bool) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
		if err != nil {
			s.t.Fatal(err)
		}
		if call, _, _ := strings.Cut(strings.TrimSpace(string(b)), " "); ok(call) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("process %d is in call %s", pid, b)
		}
	}
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

// TestBlockedAtStart starts a program that inherits a mask of blocked signals, and looks at it.
func TestBlockedAtStart(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		spec := s.spec("python3", "-c", "import os, signal as s; old = s.pthread_sigmask(s.SIG_BLOCK, []); s.pthread_sigmask(s.SIG_SETMASK, old); "+
			"os.kill(os.getpid(), s.SIGUSR1); print(sorted(int(n) for n in old), s.SIGUSR1 in s.sigpending())")
		spec.Argv = append([]string{"/usr/bin/env", "--block-signal=USR1"}, spec.Argv...)
		s.want(s.run(spec), 0, "[10] True\n")
	})
}
