package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/kmod"
)

// session is one group while it runs, as one host sees it.
type session struct {
	group   *config.Group
	program string   // as it was asked for
	argv0   string   // what the program is to see as its name; "": what its library was given
	args    []string // behind the program's name
	adopted bool     // something else starts the variants
	log     *logrus.Logger
	common
	arena    *arena
	variants []*variant    // of this host; the leader first, where it is here
	peers    *peers        // supervisors of other variants, nil without any
	module   *kmod.Session // nil: another back end
	spare    []int         // descriptors that live as long as the session: ends of pass sockets without a process

	events chan event
	done   chan struct{}  // closed when nobody takes events any more
	helper sync.WaitGroup // readers and waiters

	running  bool
	started  time.Time
	firstEnd time.Time     // when the first variant had gone
	ending   *ending       // nil while the group goes on
	patience time.Duration // for one step of a variant before GO
	killed   bool          // an engine is about to kill the container
	follow   bool          // the leader's stops are this process's: a terminal expects it
	journal  *journal
	board    *board
	last     Status      // when all was over
	noise    map[int]int // EVENT messages by variant
	audits   int         // AUDIT messages
}

// common is what the leader's supervisor decides for all variants.
type common struct {
	key       [2]uint64 // of the digests
	leaderPID uint32    // in the leader's PID namespace
}

func newSession(group *config.Group, program string, args []string, log *logrus.Logger) *session {
	if log == nil {
		log = logrus.New()
		log.SetOutput(io.Discard)
	}
	return &session{
		group: group, program: program, args: args, log: log, common: common{key: newKey()}, started: time.Now(),
		events: make(chan event), done: make(chan struct{}), noise: make(map[int]int),
		patience: helloTimeout,
	}
}

// post hands an event to the loop; false says that the session is over.
func (s *session) post(e event) bool {
	select {
	case s.events <- e:
		return true
	case <-s.done:
		return false
	}
}

// attend starts the helpers of a variant whose link and pidfd are set.
func (s *session) attend(v *variant) {
	s.helper.Go(func() { s.read(v) })
	if !v.waited {
		v.waited = true
		s.helper.Go(func() { s.wait(v) })
	}
}

// leader is the leader's process, nil where it is on another host.
func (s *session) leader() *variant {
	if len(s.variants) > 0 && s.variants[0].leads() {
		return s.variants[0]
	}
	return nil
}

// loop watches the group from GO to the end of the last process.
func (s *session) loop(ctx context.Context) {
	tick := time.NewTicker(s.samplePeriod())
	defer tick.Stop()
	cancelled := ctx.Done()
	s.peers.replay(s)
	for !s.over() {
		select {
		case e := <-s.events:
			s.handle(e)
		case <-tick.C:
			tick.Reset(s.sample(time.Now()))
		case <-s.ending.due():
			s.press(time.Now())
		case <-cancelled:
			cancelled = nil
			s.end(cause{code: ExitDivergence, text: fmt.Sprintf("the supervisor was told to stop: %v", context.Cause(ctx))})
		}
	}
}

// over says that no process of this host is left, or that those left cannot be ended.
func (s *session) over() bool {
	if s.ending != nil && s.ending.hopeless {
		return true
	}
	for _, v := range s.variants {
		if !v.gone() {
			return false
		}
	}
	if s.ending != nil && s.peers != nil {
		return time.Since(s.ending.since) > forceAfter // for what the others have to say
	}
	return s.ending != nil || s.peers.settled()
}

// handle is the one place where the state of a session changes.
func (s *session) handle(e event) {
	switch {
	case e.call != nil:
		e.call()
	case e.lost != nil:
		s.end(cause{code: ExitDivergence, text: e.lost.Error()})
	case e.peer != nil:
		s.handlePeer(e.peer)
	case e.in != nil:
		e.in.drop() // only HELLO brings descriptors
		if err := s.handleMessage(e.v, e.in.Message); err != nil {
			s.end(cause{code: ExitDivergence, variant: e.v, reason: gaveUp, text: fmt.Sprintf("%s: %v: its process may be under attack", e.v, err)})
		}
	default:
		s.note(e)
		if e.v.gone() {
			s.judge(e.v)
		}
	}
}

// note takes down what became of a process or of its control socket.
func (s *session) note(e event) {
	v := e.v
	switch {
	case e.end != nil:
		v.silent = true
		if !errors.Is(e.end, io.EOF) && s.ending == nil && !v.exited {
			s.end(cause{code: ExitDivergence, variant: v, reason: gaveUp, text: fmt.Sprintf("%s said what is no message: %v: its process may be under attack", v, e.end)})
		}
	case e.left:
		v.exited = true
	case e.status != nil && (e.status.Exited() || e.status.Signaled()):
		v.exited, v.outcome = true, outcomeOf(*e.status)
	}
	if v.gone() && !v.child {
		v.outcome = outcomeSaid(v.stop) // all that it said has been read only now
	}
}

// leaderStopped does what a shell expects of its job: monmod stops when the leader has stopped, by the terminal, by itself or
// by somebody else, where there is a terminal and with it a shell that waits for the job. Elsewhere a stop concerns the leader
// alone, and so does the one that begins the end of a group.
func (s *session) leaderStopped(v *variant) {
	if !s.follow || s.ending != nil || !v.leads() {
		return
	}
	if !v.stillStopped() {
		return
	}
	stopped, err := stopAsJob()
	if err != nil {
		s.log.Warnf("stop with the program: %v", err)
	}
	// `fg` and `bg` reach the whole job; who continued this process alone means the job too.
	if stopped && v.stillStopped() {
		if err := v.signal(unix.SIGCONT); err != nil {
			s.log.Warnf("continue the program: %v", err)
		}
	}
}

// forward gives the leader a signal that was meant for the program.
func (s *session) forward(sig unix.Signal) {
	leader := s.leader()
	if leader == nil {
		s.signalRemote(sig)
		return
	}
	if err := leader.signal(sig); err != nil {
		s.log.Warn(err)
	}
}

// judge looks at a variant that has gone: an end is right when all end alike.
func (s *session) judge(v *variant) {
	s.takeViolations()
	if s.ending != nil || v.dropped {
		return
	}
	if s.killed && v.outcome.unknown && (v.leads() || s.peers != nil) {
		why := cause{code: v.outcome.exitCode(), text: "the engine killed the container"}
		if s.peers != nil { // to the others it is a peer that is lost
			why = cause{code: ExitPeerLost, variant: v, text: fmt.Sprintf("the engine killed the container of variant %d", v.id)}
		}
		s.end(why)
		return
	}
	if s.firstEnd.IsZero() {
		s.firstEnd = time.Now()
	}
	for _, other := range s.variants {
		if other != v && other.gone() && !other.dropped && other.outcome != v.outcome {
			s.end(cause{code: ExitDivergence, variant: s.follower(v, other), reason: endedAlone,
				text: fmt.Sprintf("%s %s, but %s %s", v, v.outcome, other, other.outcome)})
			return
		}
	}
	if v.stop == nil {
		s.unexplained()
	}
	s.peers.ended(s, v)
}

// follower is the one of two that does not lead, for reports.
func (s *session) follower(a, b *variant) *variant {
	if a.leads() {
		return b
	}
	return a
}

// result is the exit code when all is over.
func (s *session) result() int {
	if s.ending != nil {
		return s.ending.cause.code
	}
	for _, v := range s.variants {
		if !v.dropped {
			return v.outcome.exitCode()
		}
	}
	return ExitDivergence
}

// close gives everything back. It is the last thing that happens to a session.
func (s *session) close(code int, text string) error {
	close(s.done)
	s.peers.close(code, text)
	for _, v := range s.variants {
		if v.link != nil {
			s.refuse(v, code, text)
			v.link.close()
		}
	}
	s.dismiss()
	moduleErr := s.closeModule()
	if s.ending == nil || !s.ending.hopeless {
		s.helper.Wait()
		s.noteGone()
	}
	s.last = s.status() // while there is what it is read from
	for _, v := range s.variants {
		v.release()
	}
	for _, fd := range s.spare {
		_ = unix.Close(fd)
	}
	errs := []error{moduleErr}
	if s.arena != nil {
		errs = append(errs, s.arena.close())
	}
	return errors.Join(errs...)
}

// noteGone takes down the ends that nobody took from the helpers any more: each helper has seen its process's.
func (s *session) noteGone() {
	for _, v := range s.variants {
		if v.waited && !v.exited {
			v.exited, v.outcome = true, outcomeSaid(v.stop)
		}
	}
}

// maxRefusal bounds what a variant is told of why it does not start, in bytes: include/monmod/start.h.
const maxRefusal = 512

// refuse tells a variant that waits for the start that it is off. One that something else started says why, since whoever
// looks at its output sees nothing of this supervisor.
func (s *session) refuse(v *variant, code int, text string) {
	if s.running || code <= 0 || code > 255 {
		return
	}
	if !s.adopted {
		text = ""
	}
	body := abi.Append(nil, abi.Fatal{ExitCode: uint32(code), Nr: ^uint32(0)})
	_ = v.link.send(abi.MsgFatal, append(body, text[:min(len(text), maxRefusal)]...)) // it may have gone by itself
}

// dismiss ends who is left after an error before the loop, or after having outlived SIGKILL. A library whose supervisor has
// hung up leaves by itself, with an exit code that says more than a signal.
func (s *session) dismiss() {
	limit := time.Now().Add(forceAfter)
	for _, v := range s.variants {
		if v.exited || v.pidfd < 0 {
			continue
		}
		p := []unix.PollFd{{Fd: int32(v.pidfd), Events: unix.POLLIN}}
		_, _ = unix.Poll(p, int(max(0, time.Until(limit).Milliseconds()))) // an error is as good as a time-out
		_ = v.signal(unix.SIGKILL)
	}
}

// states are those of all variants of this host.
func (s *session) states() []abi.Sections {
	var out []abi.Sections
	for _, v := range s.variants {
		out = append(out, v.hello)
	}
	return out
}
