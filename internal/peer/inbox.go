package peer

import (
	"fmt"
	"math/bits"
	"sync"
)

// inbox holds what was received and not yet handled: a ring per kind, made when the kind is first used.
type inbox struct {
	window int

	mu     sync.Mutex
	order  uint64 // of arrival, over all kinds
	served uint32 // kinds that a Recv is serving
	queues [Kinds]struct {
		ring *ring
		owed int           // cost of handled frames that the peer has not been told of
		wake chan struct{} // of the Recv that serves the kind
	}
}

func newInbox(window int) *inbox { return &inbox{window: window} }

// reserve makes room for a frame; the reader alone calls it and commit.
func (b *inbox) reserve(kind uint8, n int) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := &b.queues[kind]
	if q.ring == nil {
		q.ring = newRing(b.window)
	}
	slot, ok := q.ring.reserve(n)
	// What is owed is still taken in the peer's accounts, so it counts here too.
	if !ok || q.ring.used+q.owed > b.window {
		return nil, violation("more frames of kind %d than this side has allowed", kind)
	}
	return slot, nil
}

func (b *inbox) commit(kind uint8) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := &b.queues[kind]
	b.order++
	q.ring.commit(b.order)
	select {
	case q.wake <- struct{}{}: // nil when nobody serves the kind yet
	default:
	}
}

// serve claims kinds for one Recv.
func (b *inbox) serve(kinds uint32, wake chan struct{}) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if taken := b.served & kinds; taken != 0 {
		return fmt.Errorf("receiving frames of kind %d: another Recv serves them", bits.TrailingZeros32(taken))
	}
	b.served |= kinds
	for k := range b.queues {
		if kinds&(1<<k) != 0 {
			b.queues[k].wake = wake
		}
	}
	return nil
}

func (b *inbox) leave(kinds uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.served &^= kinds
	for k := range b.queues {
		if kinds&(1<<k) != 0 {
			b.queues[k].wake = nil
		}
	}
}

// next is the frame of these kinds that arrived first.
func (b *inbox) next(kinds uint32) (kind uint8, payload []byte, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var first uint64
	for left := kinds; left != 0; left &= left - 1 {
		k := bits.TrailingZeros32(left)
		r := b.queues[k].ring
		if r == nil {
			continue
		}
		if p, order, has := r.oldest(); has && (!ok || order < first) {
			kind, payload, first, ok = uint8(k), p, order, true
		}
	}
	return kind, payload, ok
}

// handled drops the kind's oldest frame and says how much of the window is to be given back now: not every frame is worth a credit.
func (b *inbox) handled(kind uint8) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := &b.queues[kind]
	q.owed += q.ring.release()
	if q.owed < b.window/4 {
		return 0
	}
	n := q.owed
	q.owed = 0
	return n
}
