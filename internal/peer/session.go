package peer

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Session is the authenticated connection to one peer. All methods may be called from any goroutine.
type Session struct {
	id     uint16
	remote string
	theirs *hello
	start  []byte

	link  *link
	out   *writer
	flows [Kinds]flow
	inbox *inbox

	heartbeat, timeout time.Duration

	leaving atomic.Bool   // this side said goodbye
	once    sync.Once     // guards err
	err     error         // why the session ended; read after done
	done    chan struct{} // closed when it ended
	report  func(End)     // called once, unless this side said goodbye
}

// End is the end of a session that this side did not ask for.
type End struct {
	Peer uint16
	Err  error // *LossError or *ByeError
}

func newSession(l *link, a *agreed, opts Options, report func(End)) *Session {
	s := &Session{
		id: a.theirs.id, remote: l.remote, theirs: a.theirs, start: a.start,
		link: l, out: newWriter(l.conn), inbox: newInbox(opts.Window),
		heartbeat: opts.Heartbeat, timeout: opts.PeerTimeout,
		done: make(chan struct{}), report: report,
	}
	for k := range s.flows {
		s.flows[k].init(int(a.theirs.window))
	}
	return s
}

// run starts what keeps the session going.
func (s *Session) run() {
	s.link.raw.SetDeadline(time.Time{})
	s.link.in.touch()
	go s.read()
	go s.beat()
	go s.watch()
}

// ID is the peer's variant ID.
func (s *Session) ID() uint16 { return s.id }

// Remote says in words where the peer is, for messages.
func (s *Session) Remote() string { return s.remote }

// Facts are the peer's, as it stated them.
func (s *Session) Facts() []Fact { return slices.Clone(s.theirs.facts) }

// Fact returns the value of one of the peer's facts.
func (s *Session) Fact(name string) (value string, ok bool) {
	for _, f := range s.theirs.facts {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// Start is the peer's start state. The caller must not change it.
func (s *Session) Start() []byte { return s.start }

// Silent is how long nothing has come from the peer.
func (s *Session) Silent() time.Duration { return s.link.in.silent() }

// Done is closed as soon as the session has ended, before frames that had arrived are handled.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is nil while the session stands, then *LossError, *ByeError, or ErrClosed after this side's Bye.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Send sends one frame whose payload is the parts one after the other, together at most MaxPayload bytes, as one of Kinds kinds. The parts may be
// reused when it returns. It blocks while the peer's consumer of this kind is a window behind; that is never a loss. The error is the
// session's end, as Err has it, or names a wrong argument.
func (s *Session) Send(kind uint8, payload ...[]byte) error {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	if kind >= Kinds || n > MaxPayload {
		return fmt.Errorf("sending a frame of kind %d and %d bytes to variant %d: kinds go up to %d, payloads to %d bytes", kind, n, s.id, Kinds-1, MaxPayload)
	}
	if s.leaving.Load() {
		return ErrClosed
	}
	f := &s.flows[kind]
	f.turn.Lock()
	defer f.turn.Unlock()
	if !f.take(cost(n), s.done) {
		return s.err
	}
	s.out.mu.Lock()
	err := s.out.frame(frameData, kind, n, payload...)
	s.out.mu.Unlock()
	if err != nil {
		return s.writeFailed(err)
	}
	return nil
}

// lastWords is how long the reader gets, after a write has failed, to find the peer's goodbye or a better cause in what had arrived before.
const lastWords = 200 * time.Millisecond

func (s *Session) writeFailed(err error) error {
	select {
	case <-s.done:
	case <-time.After(lastWords):
		s.lose(lossWords(err), err)
	}
	<-s.done
	return s.err
}

// giveBack returns n bytes of a kind's window to the peer.
func (s *Session) giveBack(kind uint8, n int) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(n))
	s.out.mu.Lock()
	err := s.out.frame(frameCredit, kind, len(b), b[:])
	s.out.mu.Unlock()
	if err != nil {
		return s.writeFailed(err)
	}
	return nil
}

// byeTime bounds an orderly end: the wait for a frame being written, and then for the peer to hang up.
const byeTime = time.Second

// Bye ends the session in good order: everything sent before arrives first, then the peer learns the exit code and the reason
// (cut at 4 KiB). It takes at most about two seconds; afterwards Err is ErrClosed and nothing is reported. The error says that the peer
// may not have got it. Repeated calls wait for the first.
func (s *Session) Bye(code uint8, text string) error {
	if !s.leaving.CompareAndSwap(false, true) {
		<-s.done
		return nil
	}
	if s.Err() != nil {
		return nil // it ended before: there is nobody to say it to
	}
	s.link.raw.SetWriteDeadline(time.Now().Add(byeTime))
	body := append([]byte{code}, text[:min(len(text), maxText)]...)
	s.out.mu.Lock()
	err := s.out.frame(frameBye, 0, len(body), body)
	s.out.mu.Unlock()
	if err != nil && s.Err() != nil {
		return nil // it ended meanwhile, as when both leave at once
	}
	if err == nil {
		closeWrite(s.link.raw)
		select {
		case <-s.done: // the reader saw the peer hang up
		case <-time.After(byeTime):
			err = fmt.Errorf("the peer did not hang up within %v", byeTime)
		}
	}
	s.end(ErrClosed)
	if err != nil {
		return fmt.Errorf("saying goodbye to variant %d: %w", s.id, err)
	}
	return nil
}

// end is the one way out: the first cause counts.
func (s *Session) end(cause error) {
	s.once.Do(func() {
		if s.leaving.Load() {
			cause = ErrClosed
		}
		s.err = cause
		close(s.done)
		s.link.raw.Close() // the socket itself: TLS would try to send an alert first
		if cause != ErrClosed {
			s.report(End{Peer: s.id, Err: cause})
		}
	})
}

func (s *Session) lose(cause string, err error) {
	s.end(&LossError{Peer: s.id, Cause: cause, Silent: s.Silent(), Err: err})
}
