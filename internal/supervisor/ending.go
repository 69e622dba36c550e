package supervisor

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/report"
)

const (
	kickEvery   = 10 * time.Millisecond
	forceAfter  = 100 * time.Millisecond // a kicked monitor has this long to leave by itself
	giveUpAfter = 5 * time.Second        // a process that outlives SIGKILL sits in the kernel
	captureTime = 300 * time.Millisecond // for what a backtrace needs of processes that are about to end
)

// cause is why a group ends. reason is empty where there is nothing to report: nobody did anything different.
type cause struct {
	code    int
	variant *variant // the one concerned, nil: none of this host
	reason  report.Reason
	subject string
	text    string // a sentence for people
	body    []byte // of the message that said it: struct mm_msg_case, the follower's record, the leader's
	remote  int    // the variant of another host that is concerned, 0: none
	who     int    // the variant that did something else, where it is not the one concerned; 0: it is
	told    bool   // the other supervisors know

	unrecorded bool // the call that subject names has no record: the variant's last one is of the call before
}

// culprit is the variant that did something else, 0: none is known.
func (c *cause) culprit() int {
	if c.who != 0 {
		return c.who
	}
	return idOf(c.variant)
}

// The reasons that a supervisor finds by itself.
const (
	gaveUp      = report.GaveUp
	endedAlone  = report.Ended
	refusedCall = report.Refused
	late        = report.Late
)

// ending is a group on its way out.
type ending struct {
	cause    cause
	since    time.Time
	ticker   *time.Ticker
	forced   time.Time
	hopeless bool
	maps     map[int]*report.Maps // by variant
}

func (e *ending) due() <-chan time.Time {
	if e == nil {
		return nil
	}
	return e.ticker.C
}

// end ends the group; the first cause counts. The order matters: nothing may leave any more, then what the report needs is
// taken down while the processes are there, then they are told to go.
func (s *session) end(why cause) {
	if s.ending != nil {
		return
	}
	s.ending = &ending{cause: why}
	s.tell("ending", max(idOf(why.variant), why.remote), why.text)
	s.peers.announce(why)
	if why.reason != "" {
		s.signalAll(unix.SIGSTOP)
		s.ending.maps = s.capture()
		s.lastWord(why.text + "; the report lies in " + s.group.Logs)
	} else if why.code == ExitPeerLost || why.code == ExitDivergence { // else an engine has ended it, who knows
		s.lastWord(why.text)
	}
	s.arena.setEnding(why.code)
	s.ending.since = time.Now()
	s.ending.ticker = time.NewTicker(kickEvery)
	s.press(s.ending.since)
}

// press kicks every process that is left, and later forces it.
func (s *session) press(now time.Time) {
	e := s.ending
	switch {
	case now.Sub(e.since) < forceAfter:
		s.signalAll(kickSignal)
		s.signalAll(unix.SIGCONT)
	case e.forced.IsZero():
		e.forced = now
		s.signalAll(unix.SIGKILL)
	case now.Sub(e.forced) > giveUpAfter:
		e.hopeless = true
		for _, v := range s.variants {
			if !v.exited {
				s.log.Errorf("%s survives SIGKILL, it must be waiting in the kernel: it can do nothing more, look at it with ps", v)
			}
		}
	default:
		s.signalAll(unix.SIGKILL)
	}
}

func (s *session) signalAll(sig unix.Signal) {
	for _, v := range s.variants {
		if err := v.signal(sig); err != nil {
			s.log.Warn(err)
		}
	}
}

// capture takes down where code lies in every process of this host.
func (s *session) capture() map[int]*report.Maps {
	type captured struct {
		id   int
		maps *report.Maps
	}
	out := make(map[int]*report.Maps)
	results := make(chan captured, len(s.variants))
	wanted := 0
	for _, v := range s.variants {
		if v.exited {
			continue
		}
		wanted++
		go func() {
			maps, err := report.Capture(v.pid)
			if err != nil {
				maps.Close()
				maps = nil
			}
			results <- captured{v.id, maps}
		}()
	}
	patience := time.NewTimer(captureTime)
	defer patience.Stop()
	for ; wanted > 0; wanted-- {
		select {
		case c := <-results:
			if c.maps != nil {
				out[c.id] = c.maps
			}
		case <-patience.C:
			go func() { // whoever comes late gives its files back
				for range wanted {
					if c := <-results; c.maps != nil {
						c.maps.Close()
					}
				}
			}()
			return out
		}
	}
	return out
}

func idOf(v *variant) int {
	if v == nil {
		return 0
	}
	return v.id
}
