package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/peer"
	"github.com/monmod/monmod/internal/report"
	"github.com/monmod/monmod/internal/words"
)

// peers are the supervisors of the variants that are not on this host, or not in this container.
type peers struct {
	mesh   *peer.Mesh
	remote map[int]*remote // by variant
	early  []*peerEvent    // what was said before this host's variant was told to go
}

// remote is a variant that another supervisor serves.
type remote struct {
	id      int
	slot    int // leaderSlot for the leader
	session *peer.Session
	state   abi.Sections
	notes   chan note // to be sent, in order
	ready   bool
	ended   bool
	said    bool // it had told that it would
	outcome outcome
	trace   []byte
	lost    bool
	waits   atomic.Bool   // as its index page says; the page here says when the pump waits
	sent    chan struct{} // closed when no more notes go out
	watch   time.Time     // when it last moved, after this host's variant has gone
	mark    progress
}

// peerEvent is something from another supervisor: a note, or the end of its session.
type peerEvent struct {
	from int
	note *note
	end  error
}

// at is the variant of another host in a slot, nil where it is here.
func (p *peers) at(slot int) *remote {
	if p != nil {
		for _, r := range p.remote {
			if r.slot == slot {
				return r
			}
		}
	}
	return nil
}

// get is the variant of another host with that ID, nil where it is here.
func (p *peers) get(id int) *remote {
	if p == nil {
		return nil
	}
	return p.remote[id]
}

// gone is a variant of another host that has ended, nil without one.
func (p *peers) gone() *remote {
	if p != nil {
		for _, r := range p.remote {
			if r.ended && !r.lost {
				return r
			}
		}
	}
	return nil
}

// slotOf gives a variant's slot: its rank among the followers.
func slotOf(g *config.Group, id int) int {
	if id == g.Leader {
		return leaderSlot
	}
	return slices.IndexFunc(g.Followers(), func(v config.Variant) bool { return v.ID == id })
}

// placeOf is a variant's rank in the group, by which its slices of the address space are its own.
func placeOf(g *config.Group, id int) int {
	return slices.IndexFunc(g.Variants, func(v config.Variant) bool { return v.ID == id })
}

// connect reaches every other supervisor of the group and exchanges start states, while the session's loop goes on.
func (s *session) connect(ctx context.Context, v *variant) error {
	self, others, opts, err := s.introduce(v)
	if err != nil {
		return err
	}
	type connected struct {
		mesh *peer.Mesh
		err  error
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	result := make(chan connected, 1)
	go func() {
		mesh, err := peer.Connect(inner, self, others, opts)
		result <- connected{mesh, err}
	}()
	s.log.Infof("waiting for the other variants of group %s, at most %v", s.group.Name, s.group.StartTimeout)
	for {
		select {
		case e := <-s.events:
			if err := s.before(e); err != nil {
				cancel(err)
				if c := <-result; c.mesh != nil {
					_ = c.mesh.Close(peer.AbortCode, err.Error()) // the error that counts is ours
				}
				return err
			}
		case c := <-result:
			if c.err != nil {
				return &Failure{Code: connectCode(c.err), Err: c.err}
			}
			return s.meet(c.mesh)
		}
	}
}

// connectCode tells a group that does not fit together from one that is not there.
func connectCode(err error) int {
	var (
		differs *peer.DifferenceError
		version *peer.VersionError
		refused *peer.RefusedError
		absent  *peer.AbsentError
		lost    *peer.LossError
		bye     *peer.ByeError
	)
	switch {
	case errors.As(err, &absent), errors.As(err, &lost), errors.As(err, &bye):
		return ExitPeerLost
	case errors.As(err, &differs), errors.As(err, &version), errors.As(err, &refused):
		return ExitConfig
	}
	return ExitPeerLost
}

// meet takes over the sessions and checks what came with them.
func (s *session) meet(mesh *peer.Mesh) error {
	s.peers.mesh = mesh
	for _, session := range mesh.Sessions() {
		r := &remote{id: int(session.ID()), session: session, notes: make(chan note, maxNotes), sent: make(chan struct{})}
		r.slot = slotOf(s.group, r.id)
		start, err := abi.ParseSections(session.Start())
		if err == nil {
			r.state, err = parseState(session.Start())
		}
		if err != nil {
			return failf(ExitPeerLost, "variant %d sent a start state that makes no sense: %w: use the same monmod on all hosts", r.id, err)
		}
		if r.slot == leaderSlot {
			var c wireCommon
			if _, err := abi.Decode(start[commonTag], &c); err != nil {
				return failf(ExitPeerLost, "variant %d, the leader, sent no session key: %w: use the same monmod on all hosts", r.id, err)
			}
			s.common = common{c.Key, c.PID}
		}
		s.peers.remote[r.id] = r
		s.helper.Go(func() { s.receiveNotes(r) })
		s.helper.Go(r.sendNotes)
	}
	return nil
}

// states gives the leader's state and those of all variants.
func (p *peers) states(s *session, own []abi.Sections) (leader abi.Sections, all []abi.Sections) {
	leader, all = own[0], own
	for _, r := range p.remote {
		all = append(all, r.state)
		if r.slot == leaderSlot {
			leader = r.state
		}
	}
	return leader, all
}

// allReady waits until every supervisor has brought its variant to the first instruction.
func (s *session) allReady(ctx context.Context) error {
	s.peers.tell(note{Kind: noteReady})
	patience := time.NewTimer(s.group.StartTimeout)
	defer patience.Stop()
	for !s.peers.ready() {
		select {
		case e := <-s.events:
			if err := s.before(e); err != nil {
				return err
			}
		case <-patience.C:
			return failf(ExitPeerLost, "not every variant of group %s was ready within %v", s.group.Name, s.group.StartTimeout)
		case <-ctx.Done():
			return failf(ExitDivergence, "the start was given up: %w", context.Cause(ctx))
		}
	}
	return nil
}

func (p *peers) ready() bool {
	for _, r := range p.remote {
		if !r.ready {
			return false
		}
	}
	return true
}

// peerBefore takes what other supervisors say before GO.
func (s *session) peerBefore(e *peerEvent) error {
	r := s.peers.remote[e.from]
	switch {
	case e.end != nil:
		return &Failure{Code: endCode(e.end), Err: e.end}
	case e.note.Kind == noteReady:
		r.ready = true
		return nil
	case e.note.Kind == noteEnding:
		return failf(e.note.code(), "%s: the group was ended", words.Of(r.id, e.note.text()))
	}
	if r.ready && len(s.peers.early) < maxNotes {
		// It has heard of everyone that it is ready, this one has not yet: two peers, two ways.
		s.peers.early = append(s.peers.early, e)
		return nil
	}
	return failf(ExitPeerLost, "the supervisor of variant %d said %q before it was ready", r.id, e.note.Kind)
}

// replay hands what was said too early to the loop.
func (p *peers) replay(s *session) {
	if p == nil {
		return
	}
	for _, e := range p.early {
		s.handlePeer(e)
	}
	p.early = nil
}

// handlePeer takes what other supervisors say after GO.
func (s *session) handlePeer(e *peerEvent) {
	r := s.peers.remote[e.from]
	if e.end != nil {
		s.peerGone(r, e.end)
		return
	}
	switch n := e.note; n.Kind {
	case noteReady:
		r.ready = true
	case noteSignal:
		if sig := unix.Signal(n.Signal); s.leader() != nil && passable(sig) {
			s.forward(sig)
		}
	case noteEnded:
		r.ended, r.said, r.outcome = true, n.Said, outcome{signal: unix.Signal(n.Signal & 0x7f), code: n.Code & 0xff, unknown: n.Unknown}
		s.compareRemote(r)
	case noteEnding:
		s.end(cause{code: n.code(), remote: r.id, reason: report.Reason(n.Reason), subject: n.Subject, body: n.Body, who: s.member(n.Who),
			text: words.Of(r.id, n.text()), told: true})
	case noteTrace:
		r.trace = n.Body
	case noteDropped:
		s.dropRemote(r)
	default:
		s.end(cause{code: ExitPeerLost, text: fmt.Sprintf("the supervisor of variant %d said %q, which is no note of this version: use the same monmod on all hosts", r.id, n.Kind)})
	}
}

// dropRemote takes a follower of another host out of a group that audits. In any other group nobody leaves by saying so: the
// leader would go on uncompared.
func (s *session) dropRemote(r *remote) {
	if s.group.OnDivergence != config.Audit || r.slot == leaderSlot || r.ended {
		s.end(cause{code: ExitDivergence, remote: r.id, who: r.id, reason: gaveUp, text: fmt.Sprintf(
			"the supervisor of variant %d takes it out of the group, which only a follower of a group that audits may do, once: its host may be under attack", r.id)})
		return
	}
	r.ended, r.lost = true, true
	s.arena.drop(r.slot)
	s.arena.wakeLeader(r.slot)
	s.tell("audit_ended", r.id, "it made another call and ends: it is no longer audited")
}

// peerGone takes the end of a session. In good order it is when the variant's end was told before.
func (s *session) peerGone(r *remote, err error) {
	r.lost = true
	if r.ended {
		return
	}
	s.end(cause{code: endCode(err), text: err.Error(), told: true})
	s.tell("peer_lost", r.id, err.Error())
}

// endCode is what a session's end means for this one: another's divergence is everyone's, all else is a peer lost.
func endCode(err error) int {
	var bye *peer.ByeError
	if errors.As(err, &bye) && bye.Code == ExitDivergence {
		return ExitDivergence
	}
	return ExitPeerLost
}

// compareRemote sees that the end of another host's variant is that of this host's.
func (s *session) compareRemote(r *remote) {
	for _, v := range s.variants {
		if v.gone() && !v.dropped && v.outcome != r.outcome {
			s.end(cause{code: ExitDivergence, variant: v, remote: r.id, reason: endedAlone,
				text: fmt.Sprintf("%s %s, but variant %d %s", v, v.outcome, r.id, r.outcome)})
			return
		}
	}
	if s.firstEnd.IsZero() {
		s.firstEnd = time.Now()
	}
	if !r.said {
		s.unexplained()
	}
}

// ended tells the others how a variant of this host ended.
func (p *peers) ended(s *session, v *variant) {
	if p == nil {
		return
	}
	p.tell(note{Kind: noteEnded, Signal: int(v.outcome.signal), Code: v.outcome.code, Unknown: v.outcome.unknown, Said: v.stop != nil})
	for _, r := range p.remote {
		if r.ended && !r.lost {
			s.compareRemote(r)
		}
	}
}

// settled says that every other supervisor has told how its variant ended.
func (p *peers) settled() bool {
	if p == nil {
		return true
	}
	for _, r := range p.remote {
		if !r.ended {
			return false
		}
	}
	return true
}

// watchRemote ends a group whose variants here have gone while another goes on without moving.
func (s *session) watchRemote(now time.Time) {
	if s.peers == nil || s.firstGone() == nil {
		return
	}
	for _, r := range s.peers.remote {
		var at progress
		if r.slot != leaderSlot {
			at = s.arena.progress(r.slot)
		}
		if r.watch.IsZero() || at != r.mark {
			r.watch, r.mark = now, at
		}
		if !r.ended && now.Sub(r.watch) > s.group.Lag {
			gone := s.firstGone()
			s.end(cause{code: ExitDivergence, variant: gone, remote: r.id, who: gone.id, reason: endedAlone,
				text: fmt.Sprintf("%s %s, but variant %d goes on", gone, gone.outcome, r.id)})
			return
		}
	}
}

// close says goodbye.
func (p *peers) close(code int, text string) {
	if p == nil || p.mesh == nil {
		return
	}
	for _, r := range p.remote {
		close(r.notes)
	}
	patience := time.After(lastWords)
	for _, r := range p.remote {
		select {
		case <-r.sent:
		case <-patience:
		}
	}
	_ = p.mesh.Close(uint8(min(code, 255)), text) // everyone is gone or knows
}

func (p *peers) status(s *session) []VariantStatus {
	if p == nil {
		return nil
	}
	var out []VariantStatus
	for _, v := range s.group.Variants {
		r := p.remote[v.ID]
		if r == nil {
			continue
		}
		st := VariantStatus{ID: r.id, Role: "follower", State: "elsewhere"}
		if r.slot == leaderSlot {
			st.Role = "leader"
		} else if s.leader() != nil {
			at := s.arena.progress(r.slot)
			st.Compared, st.Done, st.Behind = at.compared, at.done, s.arena.head()-at.tail
		}
		if r.ended {
			st.State = r.outcome.String()
		}
		out = append(out, st)
	}
	return out
}
