package peer

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLogIsBounded: strangers who call for hours give a few lines and then ever fewer that sum up, and keep no other host's reason out.
func TestLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var all []string
		q := newQuiet(func(f string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, fmt.Sprintf(f, args...))
		})
		lines := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		last := func() string { return lines()[len(lines())-1] }
		for i := range 1000 {
			q.warn("stranger", "caller %d", i)
		}
		if len(lines()) != logPerHost || last() != "caller 4" {
			t.Fatalf("%d lines of one host, the last %q", len(lines()), last())
		}
		q.warn("peer", "a wrong key")
		if last() != "a wrong key" {
			t.Errorf("the stranger kept the peer's line out: %q", last())
		}
		for i := range 1000 {
			q.warn(fmt.Sprintf("host %d", i), "caller of %d", i)
		}
		if len(lines()) != logBurst {
			t.Fatalf("%d lines of many hosts", len(lines()))
		}
		began := time.Now().Format(time.TimeOnly)
		sleep(logSpan)
		if len(lines()) != logBurst+1 {
			t.Fatalf("%d lines after the first minute", len(lines()))
		}
		wantWords(t, "the line that sums up", last(), "1981 more callers were turned away since "+began, "the last of them: caller of 999")
		for range 24 * 60 * 60 {
			q.warn("stranger", "again")
			sleep(time.Second)
		}
		if n := len(lines()); n > logBurst+40 {
			t.Errorf("%d lines in a day of a call each second", n)
		}
		n := len(lines())
		sleep(3 * maxLogSpan)
		q.warn("stranger", "after a while")
		if len(lines()) != n+2 || last() != "after a while" {
			t.Errorf("after a quiet time: %q", lines()[n:])
		}
		for range logPerHost {
			q.warn("stranger", "the end")
		}
		q.close()
		wantWords(t, "the last line", last(), "1 more caller was turned away", "the end")
		q.warn("other", "on its way")
		sleep(maxLogSpan)
		if last() != "on its way" {
			t.Errorf("after the end: %q", last())
		}
	})
}

func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
