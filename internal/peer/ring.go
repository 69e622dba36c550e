package peer

import "encoding/binary"

// frameOverhead is what a frame costs of its kind's window beyond its payload: bookkeeping in the ring.
const frameOverhead = 16

// cost is what a payload of n bytes takes of the window, on both sides.
func cost(n int) int { return frameOverhead + (n+7)&^7 }

// ring holds the frames of one kind that were received and not yet handled. A frame lies in one piece, so that it is read from the
// connection straight into its place and handled there. Not safe for concurrent use; the bytes of a reserved frame may be filled, and
// those of the oldest frame read, without a lock.
//
// The buffer is larger than the window by one largest frame: what the window admits then always fits, though up to a frame's length is left
// unused before the wrap.
type ring struct {
	buf    []byte
	head   int // oldest frame
	tail   int // where the next frame goes
	end    int // end of the frames above head, while tail is below head
	used   int // cost of all frames held, the reserved one too
	frames int // committed
	window int
}

func newRing(window int) *ring {
	return &ring{buf: make([]byte, window+cost(MaxPayload)), window: window}
}

// reserve makes room for a payload of n bytes, or reports that the window does not hold it.
func (r *ring) reserve(n int) ([]byte, bool) {
	need := cost(n)
	if n < 0 || n > MaxPayload || r.used+need > r.window {
		return nil, false
	}
	if r.used == 0 {
		r.head, r.tail = 0, 0 // starting over keeps a lightly used ring within a few pages
	}
	if r.tail >= r.head && len(r.buf)-r.tail < need {
		r.end, r.tail = r.tail, 0
	}
	at := r.tail
	binary.LittleEndian.PutUint64(r.buf[at:], uint64(n))
	r.used += need
	return r.buf[at+frameOverhead : at+frameOverhead+n : at+frameOverhead+n], true
}

// commit makes the reserved frame the newest one; order places it among the frames of other kinds.
func (r *ring) commit(order uint64) {
	n := int(binary.LittleEndian.Uint64(r.buf[r.tail:]))
	binary.LittleEndian.PutUint64(r.buf[r.tail+8:], order)
	r.tail += cost(n)
	r.frames++
}

// oldest returns the frame to be handled next; ok is false when there is none.
func (r *ring) oldest() (payload []byte, order uint64, ok bool) {
	if r.frames == 0 {
		return nil, 0, false
	}
	at := r.head + frameOverhead
	n := int(binary.LittleEndian.Uint64(r.buf[r.head:]))
	return r.buf[at : at+n : at+n], binary.LittleEndian.Uint64(r.buf[r.head+8:]), true
}

// release drops the oldest frame and returns its cost.
func (r *ring) release() int {
	c := cost(int(binary.LittleEndian.Uint64(r.buf[r.head:])))
	r.head += c
	r.used -= c
	r.frames--
	if r.tail < r.head && r.head == r.end {
		r.head = 0
	}
	return c
}
