package supervisor

import (
	"encoding/json"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/peer"
)

// Kinds of frames between supervisors.
const (
	frameNote   = 0
	frameStream = 1 // leader's host to follower's: offset, end of what was published with it (8 bytes each), and bytes of the ring
	frameIndex  = 2 // back: what the follower's index page says
)

// note is what supervisors say to each other beside the lanes.
type note struct {
	Kind    string `json:"kind"`
	Signal  int    `json:"signal,omitempty"`
	Code    int    `json:"code,omitempty"`
	Unknown bool   `json:"unknown,omitempty"`
	Said    bool   `json:"said,omitempty"` // the variant itself had told that it would end
	Reason  string `json:"reason,omitempty"`
	Subject string `json:"subject,omitempty"`
	Who     int    `json:"who,omitempty"` // variant
	Text    string `json:"text,omitempty"`
	Body    []byte `json:"body,omitempty"` // of the library's message: DIVERGED, TRACE
}

const (
	noteReady   = "ready"   // the variant stands before its first instruction
	noteSignal  = "signal"  // Signal is the leader's
	noteEnded   = "ended"   // the variant ended, by Signal or with Code
	noteEnding  = "ending"  // the group ends with Code
	noteTrace   = "trace"   // what the variant did last
	noteDropped = "dropped" // the variant is no longer audited

	maxNotes = 64 // that wait to be sent to one peer
)

// code is the exit code of an ending, whatever the peer says: only monmod's own two are possible.
func (n *note) code() int {
	if n.Code == ExitPeerLost {
		return ExitPeerLost
	}
	return ExitDivergence
}

func (n *note) text() string { return printable([]byte(n.Text)) }

// passable says whether a signal of one variant can be the leader's.
func passable(sig unix.Signal) bool {
	return sig >= 1 && sig <= 64 && sig != unix.SIGKILL && sig != unix.SIGSTOP && sig != kickSignal
}

// tell queues a note for every other supervisor. One that does not take 64 of them is as good as lost, which its session
// finds out.
func (p *peers) tell(n note) {
	if p == nil {
		return
	}
	for _, r := range p.remote {
		r.tell(n)
	}
}

func (r *remote) tell(n note) {
	select {
	case r.notes <- n:
	default:
	}
}

// sendNotes sends what is queued until the queue is closed or the session ends.
func (r *remote) sendNotes() {
	defer close(r.sent)
	for n := range r.notes {
		body, err := json.Marshal(n)
		if err != nil || r.session.Send(frameNote, body) != nil {
			for range r.notes { // nobody is left to tell
			}
			return
		}
	}
}

// receiveNotes hands every note of a supervisor to the loop, then the end of its session.
func (s *session) receiveNotes(r *remote) {
	err := r.session.Recv(func(_ uint8, payload []byte) error {
		n := new(note)
		if err := json.Unmarshal(payload, n); err != nil {
			return fmt.Errorf("the supervisor of variant %d said what is no note: %w: use the same monmod on all hosts", r.id, err)
		}
		s.post(event{peer: &peerEvent{from: r.id, note: n}})
		return nil
	}, frameNote)
	if err != peer.ErrClosed {
		s.post(event{peer: &peerEvent{from: r.id, end: err}})
	}
}

// signalRemote passes a signal on to the leader's supervisor.
func (s *session) signalRemote(sig unix.Signal) {
	if r := s.peers.remote[s.group.Leader]; r != nil {
		r.tell(note{Kind: noteSignal, Signal: int(sig)})
	}
}

// announce tells the others that the group ends, unless one of them said so.
func (p *peers) announce(why cause) {
	if p == nil || why.told {
		return
	}
	p.tell(note{Kind: noteEnding, Code: why.code, Reason: string(why.reason), Subject: why.subject, Who: why.culprit(), Text: why.text, Body: why.body})
}
