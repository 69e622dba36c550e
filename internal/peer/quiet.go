package peer

import (
	"fmt"
	"sync"
	"time"
)

const (
	logBurst   = 20          // lines about callers in one span
	logPerHost = 5           // … and about those of one host, so that a stranger does not keep the real peer's reason out
	logSpan    = time.Minute // the first span; each in which lines were left out is followed by one twice as long
	maxLogSpan = time.Hour
)

// quiet bounds what callers can make the log hold, however long they go on: a few lines, then one at the end of each span that
// sums up. After a span that nobody troubled it begins anew.
type quiet struct {
	warnf func(format string, args ...any)

	mu     sync.Mutex
	span   time.Duration
	since  time.Time      // when the span began
	timer  *time.Timer    // its end; nil: there was nothing to say
	said   int            // lines in this span
	hosts  map[string]int // of them, by host
	noisy  bool           // lines were left out in the span before: this one gets none
	left   int            // how many were left out in this span
	newest string         // the last of those
	closed bool
}

func newQuiet(warnf func(string, ...any)) *quiet {
	return &quiet{warnf: warnf, span: logSpan, hosts: map[string]int{}}
}

// warn logs a line about a caller of host, or counts it.
func (q *quiet) warn(host, format string, args ...any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer == nil && !q.closed {
		q.since, q.timer = time.Now(), time.AfterFunc(q.span, q.turn)
	}
	if q.noisy || q.said >= logBurst || q.hosts[host] >= logPerHost {
		q.left++
		q.newest = fmt.Sprintf(format, args...)
		return
	}
	q.said++
	q.hosts[host]++
	q.warnf(format, args...)
}

// turn ends a span.
func (q *quiet) turn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.noisy = q.left > 0
	q.sumUp()
	q.said, q.timer = 0, nil
	clear(q.hosts)
	if !q.noisy {
		q.span = logSpan
		return
	}
	q.span = min(2*q.span, maxLogSpan)
	q.since, q.timer = time.Now(), time.AfterFunc(q.span, q.turn)
}

func (q *quiet) sumUp() {
	if q.left > 0 {
		q.warnf("%s turned away since %s, the last of them: %s", more(q.left), q.since.Format(time.TimeOnly), q.newest)
	}
	q.left, q.newest = 0, ""
}

// close says what is left to say.
func (q *quiet) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.timer != nil {
		q.timer.Stop()
	}
	q.sumUp()
}

func more(callers int) string {
	if callers == 1 {
		return "1 more caller was"
	}
	return fmt.Sprintf("%d more callers were", callers)
}
