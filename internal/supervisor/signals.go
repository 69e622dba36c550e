package supervisor

import (
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/sigrtmin"
)

// forwarded are signals to monmod that are meant for the program, and the real-time ones, without their values. SIGPIPE is
// not: it may be of monmod's own writing.
var forwarded = slices.Concat([]os.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR}, realTime())

func realTime() (list []os.Signal) {
	for n := sigrtmin.Signal; n <= 64; n++ { // the C libraries keep 32 and 33 for themselves
		list = append(list, n)
	}
	return list
}

// terminal are signals that the terminal sends to the whole job: the leader has them already. Those that stop are among them
// because the program may catch them: monmod stops when the leader does, not before.
var terminal = []os.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}

// handleSignals makes this process a wrapper that a shell does not notice, until the returned function is called. They are
// caught rather than ignored, because a child would inherit that; what was ignored from the start stays so, for the child too.
func (s *session) handleSignals() (stop func()) {
	caught := make(chan os.Signal, 16)
	for _, list := range [][]os.Signal{forwarded, terminal} {
		for _, sig := range list {
			if !signal.Ignored(sig) {
				signal.Notify(caught, sig)
			}
		}
	}
	stopFirst := s.handleFirst(caught)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-caught:
				if n := sig.(unix.Signal); s.meant(n) {
					s.post(event{call: func() { s.forward(n) }})
				}
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(caught)
		stopFirst()
		close(ended)
	}
}

// handleFirst catches the first of the real-time signals, which package signal does not. Without it monmod runs as well, and dies
// by that signal.
func (s *session) handleFirst(caught chan<- os.Signal) (stop func()) {
	if signal.Ignored(sigrtmin.Signal) {
		return func() {}
	}
	stop, err := sigrtmin.Notify(caught)
	if err != nil {
		s.log.Warn(err)
		return func() {}
	}
	return stop
}

// meant says whether a signal is to be passed on. What interrupts has reached the leader already if it came from the terminal,
// which it can only have done where the leader is here and the job in the foreground.
func (s *session) meant(sig unix.Signal) bool {
	if sig == unix.SIGINT || sig == unix.SIGQUIT {
		st, err := readProcStat(os.Getpid())
		return s.leader() == nil || err == nil && !st.foreground
	}
	return slices.Contains(forwarded, os.Signal(sig))
}

// hasTerminal says whether a shell with job control may be watching.
func hasTerminal() bool {
	st, err := readProcStat(os.Getpid())
	return err == nil && st.terminal
}
