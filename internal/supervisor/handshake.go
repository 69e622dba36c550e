package supervisor

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/monmod/monmod/internal/abi"
)

const (
	// helloTimeout is how long a variant may take for one step before its program's first instruction.
	helloTimeout = 10 * time.Second
	// maxPending bounds what a variant may say before its turn.
	maxPending = 16
	// lastWords is how long a process that hangs up may take to end, and one that ends to be heard.
	lastWords = 200 * time.Millisecond
)

// Failure is a group that could not start, or that monmod itself had to end. Code is what monmod leaves with.
type Failure struct {
	Code int
	Err  error
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the reason.
func (f *Failure) Unwrap() error { return f.Err }

func failf(code int, format string, args ...any) *Failure {
	return &Failure{Code: code, Err: fmt.Errorf(format, args...)}
}

// greet waits for HELLO of every variant of this host and takes their states.
func (s *session) greet(ctx context.Context) error {
	for _, v := range s.variants {
		in, err := s.await(ctx, v, abi.MsgHello)
		if err != nil {
			return err
		}
		err = v.greeted(in)
		in.drop()
		if errors.Is(err, errNoFolder) {
			return failf(ExitDivergence, "%s cannot be started: %w", v, err)
		}
		if err != nil {
			return failf(ExitDivergence, "%s said hello: %w", v, err)
		}
		if err := s.enoughFiles(v); err != nil {
			return err
		}
		v.nameAs(s.argv0)
	}
	return nil
}

func (v *variant) greeted(in inbound) error {
	var hello abi.Hello
	rest, err := abi.Decode(in.Body, &hello)
	switch {
	case err != nil:
		return err
	case len(rest) != 0:
		return fmt.Errorf("%d bytes too many", len(rest))
	case subtle.ConstantTimeCompare(hello.Token[:], v.token[:]) != 1:
		return errors.New("with a wrong token")
	case len(in.fds) != 1:
		return fmt.Errorf("with %d descriptors instead of its state", len(in.fds))
	}
	v.token = [abi.TokenBytes]byte{} // it counts once
	v.ownPID = hello.Pid
	v.hello, err = readState(in.fds[0])
	return err
}

// begin takes every variant of this host from HELLO to READY.
func (s *session) begin(ctx context.Context, start []byte) error {
	blob, err := sealedObject(start)
	if err != nil {
		return err
	}
	defer closeAll(blob)
	pass, err := s.passSockets()
	if err != nil {
		return err
	}
	defer closeAll(pass.all...)
	for _, v := range s.variants {
		if err := s.sendStart(v, blob, pass); err != nil {
			return err
		}
	}
	for _, v := range s.variants {
		if _, err := s.await(ctx, v, abi.MsgMapped); err != nil {
			return err
		}
		if err := s.own(v).shut(); err != nil {
			return err
		}
	}
	for _, v := range s.variants {
		if err := v.link.send(abi.MsgArena, nil, s.others(v)...); err != nil {
			return failf(ExitDivergence, "%s: %w", v, err)
		}
	}
	for _, v := range s.variants {
		if _, err := s.await(ctx, v, abi.MsgReady); err != nil {
			return err
		}
		v.ready = true
	}
	return nil
}

// goAll lets every variant of this host take its program's first instruction.
func (s *session) goAll() error {
	s.arena.setRunning()
	for _, v := range s.variants {
		if err := v.link.send(abi.MsgGo, nil); err != nil {
			return failf(ExitDivergence, "%s: %w", v, err)
		}
	}
	s.running = true
	return nil
}

// own is the object that a variant writes.
func (s *session) own(v *variant) *object {
	if v.leads() {
		return s.arena.stream
	}
	return s.arena.index[v.slot]
}

// others are the descriptors of the objects that a variant reads.
func (s *session) others(v *variant) []int {
	if !v.leads() {
		return []int{s.arena.stream.fd}
	}
	var fds []int
	for _, o := range s.arena.index {
		fds = append(fds, o.fd)
	}
	return fds
}

// passes are the sockets over which the leader hands descriptors to followers, by slot.
type passes struct {
	leader, follower []int
	all              []int
}

// passSockets makes a pair for every slot. The ends whose process is on another host stay with the session: a socket whose
// other end is closed would look like a follower that is gone.
func (s *session) passSockets() (passes, error) {
	var p passes
	for range s.arena.index {
		a, b, err := socketPair()
		if err != nil {
			closeAll(p.all...)
			return passes{}, err
		}
		p.leader, p.follower = append(p.leader, a), append(p.follower, b)
		p.all = append(p.all, a, b)
	}
	if s.peers == nil {
		return p, nil
	}
	for _, fd := range p.all {
		copied, err := duplicate(fd)
		if err != nil {
			closeAll(p.all...)
			return passes{}, err
		}
		s.spare = append(s.spare, copied)
	}
	return p, nil
}

func (s *session) sendStart(v *variant, blob int, pass passes) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	v.tether = ours
	defer closeAll(theirs)
	msg := abi.Start{
		Role: abi.Leader, Id: uint32(v.id), Followers: uint32(len(s.arena.index)), RingSize: uint32(s.arena.stream.size - abi.Page),
		Flags: s.startFlags(), Spin: s.spin(), Pid: s.leaderPID, Key: s.key, Bases: v.bases,
	}
	fds := []int{blob, s.arena.control.fd, s.own(v).fd, theirs}
	if v.leads() {
		fds = append(fds, pass.leader...)
	} else {
		msg.Role, msg.Slot = abi.Follower, uint32(v.slot)
		fds = append(fds, pass.follower[v.slot])
	}
	if s.module != nil {
		arming, err := s.module.Arming(s.guard())
		if err != nil {
			return failf(ExitConfig, "%s: %w", v, err)
		}
		defer closeAll(arming)
		fds = append(fds, arming)
	}
	if err := v.link.send(abi.MsgStart, abi.Append(nil, msg), fds...); err != nil {
		return failf(ExitDivergence, "%s: %w", v, err)
	}
	return nil
}

// await takes the next message of v, which must be of type want, and reacts to whatever else happens meanwhile.
func (s *session) await(ctx context.Context, v *variant, want uint16) (inbound, error) {
	deadline := time.NewTimer(s.patience)
	defer deadline.Stop()
	for {
		for len(v.pending) > 0 {
			in := v.pending[0]
			v.pending = v.pending[1:]
			if in.Type == want && (want == abi.MsgHello || len(in.Body) == 0) {
				return in, nil
			}
			in.drop()
			if err := s.early(v, in.Message, want); err != nil {
				return inbound{}, err
			}
		}
		select {
		case e := <-s.events:
			if err := s.before(e); err != nil {
				return inbound{}, err
			}
		case <-deadline.C:
			return inbound{}, failf(ExitDivergence, "%s did not say %s within %v: look at its messages above, and whether its program can be read",
				v, abi.MessageName(want), s.patience)
		case <-ctx.Done():
			return inbound{}, failf(ExitDivergence, "the start was given up: %w", context.Cause(ctx))
		}
	}
}

// before takes an event of the time before GO. An end of any variant is the end of the start.
func (s *session) before(e event) error {
	switch {
	case e.call != nil:
		e.call()
	case e.lost != nil:
		return &Failure{Code: ExitDivergence, Err: e.lost}
	case e.peer != nil:
		return s.peerBefore(e.peer)
	case e.in != nil:
		if len(e.v.pending) == maxPending {
			e.in.drop()
			return failf(ExitDivergence, "%s talks without waiting for its turn: its process may be under attack", e.v)
		}
		e.v.pending = append(e.v.pending, *e.in)
	default:
		if e.end != nil {
			e.v.silent, e.v.hangup = true, e.end
		} else {
			s.note(e)
		}
		if e.v.silent {
			return s.died(e.v)
		}
		if e.left && e.v.link == nil {
			return failf(ExitDivergence, "%s ended before its program said hello", e.v)
		}
	}
	return nil
}

// died says why a variant that has hung up did so; its last messages are there, its end may need a moment.
func (s *session) died(v *variant) error {
	for len(v.pending) > 0 {
		in := v.pending[0]
		v.pending = v.pending[1:]
		in.drop()
		if in.Type == abi.MsgFatal || in.Type == abi.MsgEvent {
			if err := s.early(v, in.Message, 0); err != nil {
				return err
			}
		}
	}
	if !isEOF(v.hangup) {
		return failf(ExitDivergence, "%s said what is no message: %w: its process may be under attack", v, v.hangup)
	}
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	for !v.exited {
		select {
		case e := <-s.events:
			switch {
			case e.call != nil:
				e.call()
			case e.in != nil:
				e.in.drop()
			case e.v == v:
				s.note(e)
			}
		case <-patience.C:
			return failf(ExitDivergence, "%s closed its control socket and lives on: its process may be under attack", v)
		}
	}
	code := ExitDivergence
	if c := v.outcome.exitCode(); v.leads() && (v.outcome.signal != 0 || c == exitNoProgram || c == exitNotRunnable) {
		code = c
	}
	return failf(code, "%s %s before the program began", v, v.outcome)
}

// early judges a message that came instead of want.
func (s *session) early(v *variant, m abi.Message, want uint16) error {
	switch m.Type {
	case abi.MsgEvent:
		return s.told(v, m.Body)
	case abi.MsgFatal:
		f, text, err := parseFatal(m.Body)
		if err != nil {
			return failf(ExitDivergence, "%s: FATAL: %w", v, err)
		}
		return &Failure{Code: f.startCode(), Err: fmt.Errorf("%s cannot go on: %s", v, text)}
	case want:
		return failf(ExitDivergence, "%s said %s with a body of %d bytes that it does not have", v, abi.MessageName(m.Type), len(m.Body))
	}
	return failf(ExitDivergence, "%s said %s where %s was expected: library and supervisor must be of one build", v, abi.MessageName(m.Type), abi.MessageName(want))
}
