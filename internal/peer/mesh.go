package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// AbortCode is the exit code in the goodbye to peers whose sessions stood already when the group could not be completed.
const AbortCode = 69

// Mesh is the sessions of this variant with all its peers.
type Mesh struct {
	sessions []*Session // by ID
	ended    chan End
	goes     *sync.WaitGroup // callers that were on their way when the group was complete
}

// Session returns the session with a peer, nil for an ID that is none.
func (m *Mesh) Session(id uint16) *Session {
	for _, s := range m.sessions {
		if s.id == id {
			return s
		}
	}
	return nil
}

// Sessions are all of them, by ID.
func (m *Mesh) Sessions() []*Session { return slices.Clone(m.sessions) }

// Ended delivers each session's end once, unless this side said goodbye. It is never closed and never blocks a session.
func (m *Mesh) Ended() <-chan End { return m.ended }

// Close says goodbye to all peers at once, with the exit code and the reason, as Session.Bye does.
func (m *Mesh) Close(code uint8, text string) error {
	err := byeAll(m.sessions, code, text)
	m.goes.Wait()
	return err
}

func byeAll(sessions []*Session, code uint8, text string) error {
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() { errs[i] = s.Bye(code, text) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// assembly is the making of a mesh.
type assembly struct {
	plan  *plan
	log   *quiet
	porch porch // callers that have said nothing whole yet
	hall  porch // callers whose ClientHello has come
	goes  sync.WaitGroup
	ended chan End

	fatal   chan error    // first error that ends the start
	changed chan struct{} // a session was added

	mu       sync.Mutex
	over     bool // no session is taken any more
	sessions map[uint16]*Session
	claims   map[uint16]*link
	reasons  map[uint16]string // what the last attempt of a peer failed of
	caller   string            // and that of the last caller who did not get as far as having an ID
}

// Connect makes the sessions with all peers. It returns when all of them stand, or with the reason why they cannot: *DifferenceError, *VersionError,
// *RefusedError, *AbsentError, a wrong option, an endpoint that cannot be listened at, a peer lost
// meanwhile (*LossError, *ByeError), or ctx's cause. Peers already reached are then told. ctx governs the making alone.
func Connect(ctx context.Context, self Self, peers []Peer, opts Options) (*Mesh, error) {
	p, err := newPlan(self, peers, opts)
	if err != nil {
		return nil, err
	}
	a := &assembly{
		plan: p, log: newQuiet(p.opts.Logger.Warnf),
		ended: make(chan End, len(peers)), fatal: make(chan error, 1), changed: make(chan struct{}, 1),
		sessions: map[uint16]*Session{}, claims: map[uint16]*link{}, reasons: map[uint16]string{},
	}
	defer a.log.close()
	inner, cancel := context.WithTimeout(ctx, p.opts.StartTimeout)
	defer cancel()
	if len(p.higher) > 0 {
		ln, err := listen(inner, p.opts.Listen)
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		a.goes.Go(func() { a.serve(inner, ln) })
	}
	for _, to := range p.lower {
		a.goes.Go(func() { a.call(inner, to) })
	}
	err = a.wait(ctx, inner, len(peers))
	sessions := a.close()
	if err == nil {
		return &Mesh{sessions: sessions, ended: a.ended, goes: &a.goes}, nil
	}
	cancel()
	text := fmt.Sprintf("variant %d could not start: %v", self.ID, err)
	_ = byeAll(sessions, AbortCode, text) // the error that counts is err
	a.goes.Wait()                         // refusals under way reach their callers before this process ends
	return nil, err
}

func (a *assembly) wait(outer, inner context.Context, want int) error {
	for {
		if a.count() == want {
			return nil
		}
		select {
		case err := <-a.fatal:
			return err
		case end := <-a.ended:
			return fmt.Errorf("while the group was assembling: %w", end.Err)
		case <-a.changed:
		case <-inner.Done():
			if outer.Err() != nil {
				return fmt.Errorf("connecting the group: %w", context.Cause(outer))
			}
			if a.count() == want {
				return nil
			}
			return a.absent()
		}
	}
}

// call reaches one listening peer.
func (a *assembly) call(ctx context.Context, to Peer) {
	l, ok, err := a.plan.reach(ctx, to, func(err error) { a.note(to, err.Error()) })
	if err == nil {
		err = a.establish(l, ok)
	}
	if err != nil && ctx.Err() == nil {
		a.fail(err)
	}
}

// establish turns a link whose handshake is done into a session.
func (a *assembly) establish(l *link, ok *agreed) error {
	id := ok.theirs.id
	s := newSession(l, ok, a.plan.opts, func(e End) { a.ended <- e }) // has room for every session's end
	a.mu.Lock()
	defer a.mu.Unlock()
	claimant, listened := a.claims[id]
	switch {
	case a.over:
		return errors.New("this variant has stopped connecting")
	case a.sessions[id] != nil, listened && claimant != l:
		return fmt.Errorf("another connection of variant %d took its place", id)
	}
	delete(a.claims, id)
	a.sessions[id] = s
	s.run()
	select {
	case a.changed <- struct{}{}:
	default:
	}
	return nil
}

func (a *assembly) claim(id uint16, l *link) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return errors.New("this variant has stopped connecting: see its own messages")
	}
	if s := a.sessions[id]; s != nil {
		return fmt.Errorf("variant %d is already connected, from %s: start each variant once", id, s.remote)
	}
	if old := a.claims[id]; old != nil {
		old.raw.Close()
	}
	a.claims[id] = l
	return nil
}

// close ends the taking of sessions and returns those that stand, by ID.
func (a *assembly) close() []*Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	var out []*Session
	for _, s := range a.sessions {
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y *Session) int { return int(x.id) - int(y.id) })
	return out
}

func (a *assembly) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sessions)
}

func (a *assembly) fail(err error) {
	select {
	case a.fatal <- err:
	default: // there is a reason already
	}
}

// note keeps what an attempt to reach a peer failed of, and logs it when it is news: nobody shall wait for the time-out to learn of a wrong key.
func (a *assembly) note(to Peer, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reasons[to.ID] != reason {
		a.plan.opts.Logger.Infof("variant %d is not reached yet at %s %s: %s", to.ID, to.Network, to.Address, reason)
	}
	a.reasons[to.ID] = reason
}

// turnedAway logs a caller that is no reason to end the start, and keeps the reason in case the real peer never comes.
func (a *assembly) turnedAway(l *link, err error) {
	a.log.warn(hostOf(l.raw.RemoteAddr()), "turned a caller away, %s: %v", l.remote, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.caller = fmt.Sprintf("%s: %v", l.remote, err)
	for id, holder := range a.claims {
		if holder == l {
			delete(a.claims, id)
		}
	}
}

func (a *assembly) absent() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &AbsentError{After: a.plan.opts.StartTimeout}
	for _, p := range a.plan.lower {
		if a.sessions[p.ID] == nil {
			e.Peers = append(e.Peers, Missing{ID: p.ID, Where: p.Network + " " + p.Address, Reason: a.reasons[p.ID]})
		}
	}
	for _, p := range a.plan.higher {
		if a.sessions[p.ID] != nil {
			continue
		}
		at := a.plan.opts.Listen
		m := Missing{ID: p.ID, Where: "expected at " + at.Network + " " + at.Address}
		if a.caller != "" {
			m.Reason = "the last caller turned away was " + a.caller
		}
		e.Peers = append(e.Peers, m)
	}
	return e
}
