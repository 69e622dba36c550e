package supervisor

import (
	"testing"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/report"
)

// TestPeerThatDropsItself: only a follower of a group that audits may leave it, once; whoever else says so ends the group.
func TestPeerThatDropsItself(t *testing.T) {
	for _, c := range []struct {
		name  string
		on    config.Response
		slot  int
		ended bool
		ok    bool
	}{
		{"audits", config.Audit, 0, false, true},
		{"kills", config.Kill, 0, false, false},
		{"leader", config.Audit, leaderSlot, false, false},
		{"ended before", config.Audit, 0, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := config.Local(2)
			if err != nil {
				t.Fatal(err)
			}
			g.Logs, g.OnDivergence = t.TempDir(), c.on
			s := newSession(g, "true", nil, nil)
			s.arena = pumped(t, mirrors{}).arena
			s.journal = newJournal(g.Logs, g.Name, func(err error) { t.Error(err) })
			r := &remote{id: 2, slot: c.slot, ended: c.ended, notes: make(chan note, maxNotes)}
			s.peers = &peers{remote: map[int]*remote{2: r}}
			s.handlePeer(&peerEvent{from: 2, note: &note{Kind: noteDropped}})
			if live := s.arena.lives(0); live == c.ok || (s.ending == nil) != c.ok {
				t.Errorf("the follower is compared: %v, the group ends: %v", live, s.ending != nil)
			}
			if s.ending != nil && (s.ending.cause.code != ExitDivergence || s.ending.cause.reason != report.GaveUp) {
				t.Errorf("%+v", s.ending.cause)
			}
			if s.ending != nil {
				s.ending.ticker.Stop()
			}
			if err := s.journal.close(); err != nil {
				t.Error(err)
			}
		})
	}
}
