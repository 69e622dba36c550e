package peer

import (
	"sync"
	"sync/atomic"
)

// flow is the sender's side of one kind's window.
type flow struct {
	turn   sync.Mutex // held through a whole Send: frames of a kind keep their order, and a large one is not overtaken for ever
	room   atomic.Int64
	window int64
	wake   chan struct{} // one slot: only the holder of turn waits
}

func (f *flow) init(window int) {
	f.window = int64(window)
	f.room.Store(f.window)
	f.wake = make(chan struct{}, 1)
}

// take waits for n bytes of the window; false means that done was closed. The caller holds turn.
func (f *flow) take(n int, done <-chan struct{}) bool {
	for {
		select {
		case <-done:
			return false
		default:
		}
		if f.room.Load() >= int64(n) {
			f.room.Add(-int64(n))
			return true
		}
		select {
		case <-f.wake:
		case <-done:
			return false
		}
	}
}

// grant gives n bytes back. A peer that gives back more than was taken is refused.
func (f *flow) grant(n uint32) error {
	if f.room.Add(int64(n)) > f.window {
		return violation("more credit than had been used")
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return nil
}
