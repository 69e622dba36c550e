package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/peer"
)

// Pumps stand for a variant of another host. On the leader's host a pump takes the stream as a follower does and writes the
// follower's index page from what comes back; on the follower's host a pump writes the stream as the leader does and reads
// the index page. Rings have one size everywhere, so what fits into the one fits into the other.

const (
	pumpChunk = peer.MaxPayload - placeBytes
	// pumpDoze bounds a sleep on a bell: how long a pump may take to see that its session is over.
	pumpDoze   = 200 * time.Millisecond
	placeBytes = 2 * 8         // of a piece of the stream: its own place, and where what was published with it ends
	indexBytes = 3*8 + 4*4 + 8 // tail, compared, done, waits, verdict, its length, zero, its sequence; then its form
)

// pump starts what carries the lanes between this host's variant and the others.
func (s *session) pump() {
	for _, r := range s.peers.remote {
		switch {
		case s.leader() != nil:
			s.startPump(r, func() error { return s.sendStream(r) })
			s.startPump(r, func() error { return s.receiveIndex(r) })
		case r.slot == leaderSlot:
			slot := s.variants[0].slot
			s.startPump(r, func() error { return s.receiveStream(r, slot) })
			s.startPump(r, func() error { return s.sendIndex(r, slot) })
		}
	}
}

// startPump runs one pump; what it finds wrong ends the group. The end of the session is told by receiveNotes.
func (s *session) startPump(r *remote, pump func() error) {
	s.helper.Go(func() {
		err := pump()
		if err == nil || r.session.Err() != nil {
			return
		}
		s.post(event{call: func() {
			s.end(cause{code: ExitDivergence, text: fmt.Sprintf("between the leader and variant %d: %v", r.id, err)})
		}})
	})
}

// closing says that a pump has nothing to do any more.
func (s *session) closing() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *session) sendStream(r *remote) error {
	page, index := s.arena.streamPage(), s.arena.indexPage(r.slot)
	ring := s.arena.stream.mem[abi.Page:]
	size := uint64(len(ring))
	var sent uint64
	var place [placeBytes]byte
	for !s.closing() && r.session.Err() == nil {
		head := atomic.LoadUint64(&page.Head)
		ahead := head - sent
		if ahead > size || head%8 != 0 {
			return errors.New("the leader published more than its ring holds: its process may be under attack")
		}
		if ahead == 0 {
			atomic.StoreUint32(&index.Waits, 1)
			bell := atomic.LoadUint32(&page.Bell)
			if atomic.LoadUint64(&page.Head) == sent {
				sleep(&page.Bell, bell, pumpDoze)
			}
			atomic.StoreUint32(&index.Waits, 0)
			continue
		}
		for sent < head {
			at := sent % size
			n := min(head-sent, size-at, pumpChunk)
			binary.LittleEndian.PutUint64(place[:], sent)
			binary.LittleEndian.PutUint64(place[8:], head)
			if err := r.session.Send(frameStream, place[:], ring[at:at+n]); err != nil {
				return err
			}
			sent += n
		}
	}
	return nil
}

func (s *session) receiveIndex(r *remote) error {
	return r.session.Recv(func(_ uint8, b []byte) error { return s.takeIndex(r, b) }, frameIndex)
}

// takeIndex writes what a follower's supervisor says into the page that the leader reads.
func (s *session) takeIndex(r *remote, b []byte) error {
	page, index := s.arena.streamPage(), s.arena.indexPage(r.slot)
	if len(b) < indexBytes || len(b) > indexBytes+abi.VerdictBytes {
		return fmt.Errorf("an index of %d bytes", len(b))
	}
	le := binary.LittleEndian
	tail, compared, done := le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
	waits, verdict, length, seq := le.Uint32(b[24:]), le.Uint32(b[28:]), le.Uint32(b[32:]), le.Uint64(b[40:])
	form := b[indexBytes:]
	switch head := atomic.LoadUint64(&page.Head); {
	case tail > head || tail < index.Tail || tail%8 != 0 || compared < index.Compared || done < index.Done:
		return fmt.Errorf("an index that goes back or runs ahead (%d of %d bytes)", tail, head)
	case verdict > abi.VerdictMalformed || uint64(length) != uint64(len(form)):
		return fmt.Errorf("a verdict %d of %d bytes", verdict, length)
	}
	if verdict != abi.VerdictNone && index.Verdict == abi.VerdictNone {
		copy(index.VerdictForm[:], form)
		index.VerdictLen, index.VerdictSeq = length, seq
		atomic.StoreUint32(&index.Verdict, verdict)
	}
	r.waits.Store(waits != 0)
	atomic.StoreUint64(&index.Done, done)
	atomic.StoreUint64(&index.Compared, compared)
	atomic.StoreUint64(&index.Tail, tail)
	if atomic.LoadUint32(&page.Waits) != 0 {
		atomic.AddUint32(&index.Bell, 1)
		wake(&index.Bell)
	}
	return nil
}

func (s *session) receiveStream(r *remote, slot int) error {
	var arrived uint64
	return r.session.Recv(func(_ uint8, b []byte) error { return s.takeStream(slot, &arrived, b) }, frameStream)
}

// takeStream writes what the leader's supervisor says into the ring that the follower reads. A follower takes whole records,
// so what was published at once there is published at once here, in however many pieces it arrives.
func (s *session) takeStream(slot int, arrived *uint64, b []byte) error {
	page, index := s.arena.streamPage(), s.arena.indexPage(slot)
	ring := s.arena.stream.mem[abi.Page:]
	size := uint64(len(ring))
	if len(b) <= placeBytes || len(b)%8 != 0 {
		return fmt.Errorf("%d bytes of a stream", len(b))
	}
	from, end, data := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), b[placeBytes:]
	if from != *arrived {
		return fmt.Errorf("bytes of a stream from %d on, where %d is the next", from, *arrived)
	}
	if tail := atomic.LoadUint64(&index.Tail); tail > from || from-tail+uint64(len(data)) > size {
		return fmt.Errorf("%d bytes of a stream that do not fit behind %d of %d", len(data), from-tail, size)
	}
	n := copy(ring[from%size:], data)
	copy(ring, data[n:])
	*arrived += uint64(len(data))
	switch {
	case *arrived > end:
		return fmt.Errorf("a stream up to %d of which only %d was published", *arrived, end)
	case *arrived < end:
		return nil
	}
	atomic.StoreUint64(&page.Head, end)
	if atomic.LoadUint32(&index.Waits) != 0 {
		atomic.AddUint32(&page.Bell, 1)
		wake(&page.Bell)
	}
	return nil
}

func (s *session) sendIndex(r *remote, slot int) error {
	page, index := s.arena.streamPage(), s.arena.indexPage(slot)
	// Whether the follower sleeps is of interest only to the one who watches for lateness, so it waits for a quiet moment.
	look := func(waits bool) indexSeen {
		p := s.arena.progress(slot)
		p.waits = p.waits && waits
		return indexSeen{p, atomic.LoadUint32(&index.Verdict)}
	}
	var sent indexSeen
	for !s.closing() && r.session.Err() == nil {
		now := look(sent.waits)
		if now == sent {
			atomic.StoreUint32(&page.Waits, 1)
			bell := atomic.LoadUint32(&index.Bell)
			slept := look(sent.waits) == sent
			if slept {
				sleep(&index.Bell, bell, pumpDoze)
			}
			atomic.StoreUint32(&page.Waits, 0)
			if now = look(true); now == sent || !slept {
				continue
			}
		}
		if err := r.session.Send(frameIndex, now.encode(index)...); err != nil {
			return err
		}
		sent = now
	}
	return nil
}

// indexSeen is an index page at one moment.
type indexSeen struct {
	progress
	verdict uint32
}

func (n indexSeen) encode(index *abi.Index) [][]byte {
	le := binary.LittleEndian
	var waits, length uint32
	var seq uint64
	var form []byte
	if n.waits {
		waits = 1
	}
	if n.verdict != abi.VerdictNone {
		length, seq = min(atomic.LoadUint32(&index.VerdictLen), abi.VerdictBytes), index.VerdictSeq
		form = append(form, index.VerdictForm[:length]...)
	}
	b := le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, n.tail), n.compared), n.done)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, waits), n.verdict), length), 0)
	return [][]byte{le.AppendUint64(b, seq), form}
}
