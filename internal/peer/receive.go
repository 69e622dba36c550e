package peer

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Recv calls handler for every frame of the given kinds (none: all), in the order of arrival, until the session has ended and what had arrived
// is handled, and returns why it ended, as Err does. An error of the handler ends Recv alone and is returned as it is; the frame counts as
// handled. The payload is valid until the handler returns. A handler may block: that holds up the peer's Send of these kinds once the window is
// full, and nothing else. Several Recv may run at a time when no kind is served by two.
func (s *Session) Recv(handler func(kind uint8, payload []byte) error, kinds ...uint8) error {
	mask := uint32(1<<Kinds - 1)
	if len(kinds) > 0 {
		mask = 0
	}
	for _, k := range kinds {
		if k >= Kinds {
			return fmt.Errorf("receiving frames of kind %d: kinds go up to %d", k, Kinds-1)
		}
		mask |= 1 << k
	}
	wake := make(chan struct{}, 1)
	if err := s.inbox.serve(mask, wake); err != nil {
		return err
	}
	defer s.inbox.leave(mask)
	for {
		// Asked before the queue is looked at: what arrived before the end is then never overlooked.
		ended := s.Err()
		kind, payload, ok := s.inbox.next(mask)
		switch {
		case s.leaving.Load():
			<-s.done
			return ErrClosed
		case ok:
			if err := s.handle(kind, payload, handler); err != nil {
				return err
			}
		case ended != nil:
			return ended
		default:
			select {
			case <-wake:
			case <-s.done:
			}
		}
	}
}

func (s *Session) handle(kind uint8, payload []byte, handler func(uint8, []byte) error) error {
	failed := handler(kind, payload)
	if n := s.inbox.handled(kind); n > 0 && s.Err() == nil {
		// An error here is the session's end, which Recv finds out when the queue is empty.
		_ = s.giveBack(kind, n)
	}
	return failed
}

// read is the session's reader. It never writes and never waits for a consumer: whatever the other parts do, it takes in what the peer sends, and so the
// peer's writes always end.
func (s *Session) read() {
	err := s.readFrames()
	if bye, ok := err.(*ByeError); ok {
		s.end(bye)
		return
	}
	s.lose(lossWords(err), err)
}

func (s *Session) readFrames() error {
	var scratch [headerLen]byte
	for {
		h, err := readHeader(s.link.br, &scratch, false)
		if err != nil {
			return err
		}
		switch h.typ {
		case frameData:
			err = s.readData(h)
		case frameCredit:
			if _, err = io.ReadFull(s.link.br, scratch[:4]); err == nil {
				err = s.flows[h.kind].grant(binary.LittleEndian.Uint32(scratch[:4]))
			}
		case frameBye:
			err = s.readBye(h)
		}
		if err != nil {
			return err
		}
	}
}

func (s *Session) readData(h header) error {
	slot, err := s.inbox.reserve(h.kind, int(h.length))
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(s.link.br, slot); err != nil {
		return err
	}
	s.inbox.commit(h.kind)
	return nil
}

func (s *Session) readBye(h header) error {
	body := make([]byte, h.length)
	if _, err := io.ReadFull(s.link.br, body); err != nil {
		return err
	}
	return &ByeError{Peer: s.id, Code: body[0], Text: string(body[1:])}
}

// beat sends a sign of life every heartbeat. While another frame is being written there is no need: its bytes are the sign.
func (s *Session) beat() {
	t := time.NewTicker(s.heartbeat)
	defer t.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-t.C:
		}
		if !s.out.mu.TryLock() {
			continue
		}
		err := s.out.frame(frameBeat, 0, 0)
		s.out.mu.Unlock()
		if err != nil {
			_ = s.writeFailed(err)
		}
	}
}

// watch declares the peer lost when it is silent too long. Time in which this process itself stood still (stopped, starved) does not count: what
// the peer sent meanwhile lies in the socket unread.
func (s *Session) watch() {
	t := time.NewTimer(s.timeout)
	defer t.Stop()
	for {
		wait := s.timeout - s.Silent()
		if wait <= 0 {
			s.lose("it sent nothing any more (its host or the link to it is down, or its supervisor is stopped)", nil)
			return
		}
		planned := clock() + wait
		t.Reset(wait)
		select {
		case <-s.done:
			return
		case <-t.C:
		}
		if clock()-planned > s.heartbeat {
			s.link.in.touch()
		}
	}
}
