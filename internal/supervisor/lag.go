package supervisor

import (
	"fmt"
	"time"
)

// lateness measures one variant that others wait for: CPU and wall time since it last moved. What a stopped or frozen process
// does not use does not count.
type lateness struct {
	late bool
	mark [3]uint64
	cpu  time.Duration // of the process when it began to be late
	used time.Duration // CPU time since
	wall time.Duration // since, without stops
	seen time.Time
	// files say whether its control group is frozen; they are looked for once it has stood still for a look.
	files  []string
	sought bool
}

const (
	samplesPerLag = 4
	samplePeriod  = 500 * time.Millisecond // at most
	sampleLeast   = 20 * time.Millisecond
	// How soon a follower that computes is looked at again, which may have to be made to look at the stream; and how soon, for a
	// while, after it had to be.
	computingPeriod = 100 * time.Millisecond
	alertPeriod     = 10 * time.Millisecond
	alertTime       = time.Second
	// silentEnd is how long the others may go on after a variant that ended without saying so: whatever ended it can have
	// ended them too.
	silentEnd = 500 * time.Millisecond
)

func (s *session) samplePeriod() time.Duration {
	return max(min(s.group.Lag/samplesPerLag, samplePeriod), sampleLeast)
}

// sample looks at who waits for whom, and says when to look again. It costs the variants nothing: heads and tails lie in memory
// that they share.
func (s *session) sample(now time.Time) (again time.Duration) {
	again = s.samplePeriod()
	s.publish(now)
	s.watchRemote(now)
	if s.ending != nil {
		return again
	}
	for _, v := range s.variants {
		if v.exited || v.dropped {
			continue
		}
		isLate, mark := s.awaited(v)
		limitCPU, limitWall := s.group.Lag, s.group.LagWall
		if !s.firstEnd.IsZero() {
			// Another has gone: this one has nothing to wait for, and must arrive at the same end.
			isLate, limitWall = true, s.group.Lag
		}
		v.watch.see(now, v.pid, isLate, mark, s.samplePeriod())
		if !v.leads() && !v.gone() {
			again = min(again, s.urge(v, now))
		}
		if v.watch.used >= limitCPU || v.watch.wall >= limitWall {
			s.tooLate(v)
			return again
		}
	}
	return again
}

// urge kicks a follower that has a signal to take which the leader took where it computes: the kick makes it look at the stream
// where it computes itself. Any other would only interrupt what it does. It says how soon the next look is worth its while.
func (s *session) urge(v *variant, now time.Time) time.Duration {
	p := s.arena.progress(v.slot)
	if p.tail != s.arena.head() && s.arena.forcedAt(p.tail) {
		v.urged = now
		if err := v.signal(kickSignal); err != nil {
			s.log.Debug(err)
		}
	}
	switch {
	case p.waits:
		return samplePeriod
	case now.Sub(v.urged) < alertTime:
		return alertPeriod
	}
	return computingPeriod
}

// tooLate ends the group for a variant that others have waited for long enough.
func (s *session) tooLate(v *variant) {
	if r := s.peers.gone(); r != nil {
		s.end(cause{code: ExitDivergence, variant: v, remote: r.id, who: r.id, reason: endedAlone, text: fmt.Sprintf("variant %d %s, but %s goes on", r.id, r.outcome, v)})
		return
	}
	if gone := s.firstGone(); gone != nil {
		s.end(cause{code: ExitDivergence, variant: s.follower(v, gone), who: gone.id, reason: endedAlone, text: fmt.Sprintf("%s %s, but %s goes on", gone, gone.outcome, v)})
		return
	}
	s.end(cause{code: ExitDivergence, variant: v, reason: late, text: fmt.Sprintf(
		"%s did not arrive: the others have waited for its next call while it used %v of processor time (%v in all); `lag` and `lag_wall` of the group say how long is too long",
		v, v.watch.used.Round(10*time.Millisecond), v.watch.wall.Round(10*time.Millisecond))})
}

func (s *session) firstGone() *variant {
	for _, v := range s.variants {
		if v.gone() && !v.dropped {
			return v
		}
	}
	return nil
}

// unexplained gives the others a moment to end as one did that had not said it would.
func (s *session) unexplained() {
	time.AfterFunc(silentEnd, func() {
		s.post(event{call: func() {
			for _, v := range s.variants {
				if s.ending == nil && !v.gone() && !v.dropped {
					s.tooLate(v)
				}
			}
		}})
	})
}

// awaited says whether others wait for v, and what of its progress would change if it moved.
func (s *session) awaited(v *variant) (bool, [3]uint64) {
	head := s.arena.head()
	if !v.leads() {
		p := s.arena.progress(v.slot)
		return p.tail != head, [3]uint64{p.tail, p.compared, p.done}
	}
	for slot := range s.arena.index {
		// A follower that has taken everything, has no call under way and sleeps has arrived at a call that the leader has
		// not published. While one is under way (compared runs ahead of done) the leader executes it, and that has no limit.
		p := s.arena.progress(slot)
		if r := s.peers.at(slot); r != nil {
			p.waits = r.waits.Load()
		}
		if s.arena.lives(slot) && p.waits && p.tail == head && p.compared == p.done {
			return true, [3]uint64{head}
		}
	}
	return false, [3]uint64{head}
}

// see takes one look. Gaps between looks that are longer than planned (this process was stopped itself) count once.
func (l *lateness) see(now time.Time, pid int, isLate bool, mark [3]uint64, period time.Duration) {
	if !isLate {
		*l = lateness{}
		return
	}
	stat, err := readProcStat(pid)
	if err != nil {
		return // it is just ending, and that event is on its way
	}
	if !l.late || mark != l.mark {
		*l = lateness{late: true, mark: mark, cpu: stat.cpu, seen: now}
		return
	}
	if !l.sought {
		l.files, l.sought = freezers(pid), true
	}
	l.used = stat.cpu - l.cpu
	if !stat.stopped(pid, l.files) {
		l.wall += min(now.Sub(l.seen), 2*period)
	}
	l.seen = now
}
