package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFramesArriveInOrderAndWhole(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			a, b, _ := pair(t, transport)
			sizes := []int{0, 1, 7, 8, 100, 4096, gatherAbove - 1, gatherAbove, 70000, MaxPayload}
			const rounds = 12
			payload := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)]) }
			count := rounds * len(sizes)
			var wg sync.WaitGroup
			for _, dir := range [][2]*Session{{a, b}, {b, a}} { // both directions at a time
				wg.Go(func() {
					for i := range count {
						p := payload(i)
						half := len(p) / 2
						if err := dir[0].Send(uint8(i%Kinds), p[:half], nil, p[half:]); err != nil {
							t.Error(err)
							return
						}
					}
				})
				wg.Go(func() {
					i := 0
					stop := errors.New("all came")
					err := dir[1].Recv(func(kind uint8, p []byte) error {
						if kind != uint8(i%Kinds) || !bytes.Equal(p, payload(i)) {
							return fmt.Errorf("frame %d: kind %d, %d bytes", i, kind, len(p))
						}
						if i++; i == count {
							return stop
						}
						return nil
					})
					if err != stop {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestSendersOfOneKindDoNotMix(t *testing.T) {
	a, b, _ := pair(t, "unix")
	const senders, each = 8, 200
	for s := range senders {
		go func() {
			var p [40000]byte // above and below the writev limit
			p[0] = byte(s)
			for i := range each {
				binary.LittleEndian.PutUint16(p[1:], uint16(i))
				if err := a.Send(3, p[:3+i*190]); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	var next [senders]int
	total := 0
	stop := errors.New("all came")
	err := b.Recv(func(_ uint8, p []byte) error {
		s, i := p[0], int(binary.LittleEndian.Uint16(p[1:]))
		if next[s] != i || len(p) != 3+i*190 {
			return fmt.Errorf("sender %d: frame %d with %d bytes, want %d", s, i, len(p), next[s])
		}
		next[s]++
		if total++; total == senders*each {
			return stop
		}
		return nil
	})
	if err != stop {
		t.Error(err)
	}
}

// TestSlowConsumerIsNoLoss: a handler that blocks for two peer time-outs stops the sender of its kind and nothing else.
func TestSlowConsumerIsNoLoss(t *testing.T) {
	for _, transport := range []string{"unix", "tcp4"} {
		t.Run(transport, func(t *testing.T) {
			a, b, meshes := pair(t, transport)
			release := make(chan struct{})
			var handled int
			go b.Recv(func(uint8, []byte) error {
				<-release
				handled++
				return nil
			}, 1)
			quick := make(chan string, 1)
			go b.Recv(func(_ uint8, p []byte) error {
				quick <- string(p)
				return nil
			}, 2)

			const frames, size = 40, 100_000 // four windows
			sent := make(chan int, frames)
			go func() {
				defer close(sent)
				for i := range frames {
					if a.Send(1, make([]byte, size)) != nil {
						return
					}
					sent <- i
				}
			}()
			time.Sleep(2 * a.timeout)
			if n := len(sent); n*cost(size) > defaultWindow || n < 5 {
				t.Errorf("%d frames were sent while none was handled", n)
			}
			// The other kind passes, so do the other direction and the signs of life.
			if err := a.Send(2, []byte("kick")); err != nil {
				t.Error(err)
			}
			if got := within(t, time.Second, "the other kind", quick); got != "kick" {
				t.Errorf("got %q", got)
			}
			if d := max(a.Silent(), b.Silent()); d > a.timeout/2 {
				t.Errorf("silent for %v", d)
			}
			if err := errors.Join(a.Err(), b.Err()); err != nil {
				t.Error(err)
			}
			close(release)
			for range frames {
				within(t, 5*time.Second, "the rest", sent)
			}
			if _, more := <-sent; more || a.Err() != nil {
				t.Errorf("after the block: %v", a.Err())
			}
			if len(meshes[0].Ended())+len(meshes[1].Ended()) > 0 {
				t.Error("a loss was reported")
			}
		})
	}
}

// TestManyTimeoutsOfLoad keeps both directions full for several peer time-outs: heartbeats must not be what keeps it alive, nor fail to.
func TestManyTimeoutsOfLoad(t *testing.T) {
	a, b, _ := pair(t, "tcp6")
	until := time.Now().Add(3 * a.timeout)
	var wg sync.WaitGroup
	stop := errors.New("last frame")
	for _, dir := range [][2]*Session{{a, b}, {b, a}} {
		wg.Go(func() {
			big := make([]byte, MaxPayload)
			for time.Now().Before(until) {
				if err := dir[0].Send(0, big); err != nil {
					t.Error(err)
					return
				}
			}
			dir[0].Send(0, []byte{1})
		})
		wg.Go(func() {
			err := dir[1].Recv(func(_ uint8, p []byte) error {
				if len(p) == 1 {
					return stop
				}
				return nil
			})
			if err != stop {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestByeComesAfterEverythingSent(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			a, b, meshes := pair(t, transport)
			for i := range 50 {
				if err := a.Send(uint8(i%3), []byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Bye(70, "variant 2 wrote something else"); err != nil {
				t.Error(err)
			}
			var got []byte
			err := b.Recv(func(_ uint8, p []byte) error {
				got = append(got, p[0])
				return nil
			})
			var bye *ByeError
			if !errors.As(err, &bye) || bye.Code != 70 || bye.Peer != 1 || bye.Text != "variant 2 wrote something else" {
				t.Errorf("got %v", err)
			}
			if want := "variant 1 ended with code 70: variant 2 wrote something else"; err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
			if own := (&ByeError{Peer: 2, Code: 70, Text: bye.Text}).Error(); own != "variant 2 wrote something else (its supervisor ended with code 70)" {
				t.Errorf("a peer that speaks of its own variant: %q", own)
			}
			if len(got) != 50 || got[49] != 49 {
				t.Errorf("%d frames came before the goodbye: %v", len(got), got)
			}
			if err := a.Send(0, nil); err != ErrClosed {
				t.Errorf("sending after the goodbye: %v", err)
			}
			if err := a.Recv(func(uint8, []byte) error { return nil }); err != ErrClosed {
				t.Errorf("receiving after the goodbye: %v", err)
			}
			if err := b.Send(0, nil); !errors.As(err, &bye) {
				t.Errorf("sending to the one that left: %v", err)
			}
			end := within(t, time.Second, "the end", meshes[1].Ended())
			if end.Peer != 1 || end.Err != error(bye) {
				t.Errorf("got %+v", end)
			}
			if len(meshes[0].Ended()) > 0 {
				t.Error("the one that left was told of its own leaving")
			}
		})
	}
}

func TestBothSayGoodbyeAtOnce(t *testing.T) {
	a, b, meshes := pair(t, "tcp4")
	done := make(chan error, 2)
	for _, s := range []*Session{a, b} {
		go func() { done <- s.Bye(0, "the end") }()
	}
	for range 2 {
		if err := within(t, 3*time.Second, "the goodbye", done); err != nil {
			t.Error(err)
		}
	}
	for _, m := range meshes {
		select {
		case end := <-m.Ended(): // the other one was a little quicker
			var bye *ByeError
			if !errors.As(end.Err, &bye) {
				t.Errorf("got %v", end.Err)
			}
		default:
		}
	}
}

// TestByeWithABlockedSender: the goodbye needs no room in a window.
func TestByeWithABlockedSender(t *testing.T) {
	a, b, _ := pair(t, "unix")
	blocked := make(chan error, 1)
	go func() {
		for {
			if err := a.Send(0, make([]byte, MaxPayload)); err != nil {
				blocked <- err
				return
			}
		}
	}()
	time.Sleep(100 * time.Millisecond)
	if err := a.Bye(0, "enough"); err != nil {
		t.Error(err)
	}
	if err := within(t, time.Second, "the blocked sender", blocked); err != ErrClosed {
		t.Errorf("the blocked sender got %v", err)
	}
	<-b.Done()
	var bye *ByeError
	if !errors.As(b.Err(), &bye) {
		t.Errorf("got %v", b.Err())
	}
}

func TestClosedConnectionIsNoticedAtOnce(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			a, b, meshes := pair(t, transport)
			received := make(chan error, 1)
			go func() { received <- a.Recv(func(uint8, []byte) error { return nil }) }()
			began := time.Now()
			b.link.raw.Close()
			end := within(t, time.Second, "the loss", meshes[0].Ended())
			if d := time.Since(began); d > time.Second {
				t.Errorf("noticed after %v", d)
			}
			loss := wantLoss(t, end, 2, "without a goodbye")
			if loss.Silent > time.Second || loss.Err == nil {
				t.Errorf("got %+v", loss)
			}
			if err := within(t, time.Second, "Recv", received); err != error(loss) {
				t.Errorf("Recv returned %v", err)
			}
			if err := a.Send(0, []byte("x")); err != error(loss) {
				t.Errorf("Send returned %v", err)
			}
			if err := a.Bye(0, ""); err != nil {
				t.Errorf("a goodbye to nobody: %v", err)
			}
			time.Sleep(50 * time.Millisecond)
			if len(meshes[0].Ended()) > 0 {
				t.Error("the loss was reported twice")
			}
		})
	}
}

// TestSilenceIsALoss uses a peer that has shaken hands and then neither sends nor reads, as a stopped supervisor or a dead link looks.
func TestSilenceIsALoss(t *testing.T) {
	for _, loaded := range []bool{false, true} {
		t.Run(fmt.Sprintf("loaded %v", loaded), func(t *testing.T) {
			mesh, _ := dumbPeer(t)
			s := mesh.Session(2)
			began := time.Now()
			if loaded {
				go func() {
					for s.Send(uint8(time.Now().UnixNano()%Kinds), make([]byte, MaxPayload)) == nil {
					}
				}()
			}
			loss := wantLoss(t, within(t, 5*time.Second, "the loss", mesh.Ended()), 2, "sent nothing any more")
			if d := time.Since(began); d < s.timeout-50*time.Millisecond || d > s.timeout+time.Second {
				t.Errorf("noticed after %v", d)
			}
			if loss.Silent < s.timeout || loss.Err != nil {
				t.Errorf("got %+v", loss)
			}
		})
	}
}

// dumbPeer is variant 2 with a hand-made connection to a real variant 1: what it writes is up to the test.
func dumbPeer(t *testing.T) (*Mesh, *link) {
	t.Helper()
	g := newGroup(t, "unix", 1, 2)
	a, b := g.member(t, 1), g.member(t, 2)
	type result struct {
		l   *link
		err error
	}
	made := make(chan result, 1)
	go func() {
		p, err := newPlan(b.self, b.peers, b.opts)
		if err != nil {
			made <- result{nil, err}
			return
		}
		l := newLink(knock(t, g, 1), "")
		_, err = p.dial(l, 1)
		made <- result{l, err}
	}()
	mesh, err := a.connect()
	must(t, err)
	r := within(t, time.Second, "the handshake", made)
	must(t, r.err)
	t.Cleanup(func() { r.l.raw.Close(); mesh.Close(0, "") })
	return mesh, r.l
}

func TestBrokenFramesEndTheSession(t *testing.T) {
	data := func(kind uint8, n int) []byte {
		var h [headerLen]byte
		header{length: uint32(n), typ: frameData, kind: kind}.put(&h)
		return append(h[:], make([]byte, n)...)
	}
	credit := func(n uint32) []byte {
		b := appendFrame(nil, frameCredit, binary.LittleEndian.AppendUint32(nil, n))
		b[5] = 3
		return b
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		words string
	}{
		{"garbage", []byte("GET / HTTP/1.1\r\n\r\n"), "broke the protocol"},
		{"a length of 4 GiB", []byte{255, 255, 255, 255, 1, 0, 0, 0}, "data frame of 4294967295 bytes"},
		{"a second hello", appendFrame(nil, frameHello, sampleHello().encode()), "hello frame out of place"},
		{"unearned credit", credit(1), "more credit than had been used"},
		{"a flood beyond the window", bytes.Repeat(data(4, MaxPayload), 5), "more frames of kind 4"},
		{"a flood of small frames", bytes.Repeat(data(5, 0), defaultWindow/frameOverhead+1), "more frames of kind 5"},
		{"a frame cut short", data(0, 1000)[:500], "without a goodbye"},
		{"a header cut short", data(0, 0)[:3], "without a goodbye"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mesh, l := dumbPeer(t)
			go func() { // the flood may be cut off by the other side
				l.conn.Write(c.bytes)
				closeWrite(l.raw)
			}()
			go io.Copy(io.Discard, l.raw)
			wantLoss(t, within(t, 2*time.Second, "the loss", mesh.Ended()), 2, c.words)
		})
	}
}

// TestDamageUnderTLS flips bytes of the encrypted stream: neither the frame nor anything made of it is delivered.
func TestDamageUnderTLS(t *testing.T) {
	a, b, meshes := pair(t, "tcp4")
	got := make(chan string, 1)
	go a.Recv(func(_ uint8, p []byte) error {
		got <- string(p)
		return nil
	})
	record := append([]byte{23, 3, 3, 0, 64}, bytes.Repeat([]byte{0x5a}, 64)...)
	if _, err := b.link.raw.Write(record); err != nil {
		t.Fatal(err)
	}
	wantLoss(t, within(t, time.Second, "the loss", meshes[0].Ended()), 2, "damaged or forged")
	if len(got) > 0 {
		t.Errorf("%q was delivered", <-got)
	}
}

func TestHandlersErrorEndsRecvAlone(t *testing.T) {
	a, b, _ := pair(t, "unix")
	mine := errors.New("no room")
	for _, s := range []string{"one", "two"} {
		must(t, a.Send(0, []byte(s)))
	}
	for _, want := range []string{"one", "two"} {
		err := b.Recv(func(_ uint8, p []byte) error {
			if string(p) != want {
				t.Errorf("got %q, want %q", p, want)
			}
			return mine
		})
		if err != mine {
			t.Errorf("got %v", err)
		}
	}
	if b.Err() != nil {
		t.Error(b.Err())
	}
}

func TestWrongUse(t *testing.T) {
	a, _, _ := pair(t, "unix")
	none := func(uint8, []byte) error { return nil }
	go a.Recv(none, 1, 2)
	time.Sleep(20 * time.Millisecond)
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"kind", "kind 16", a.Send(Kinds, nil)},
		{"size", "262145 bytes", a.Send(0, make([]byte, MaxPayload), []byte{1})},
		{"kind to receive", "kind 99", a.Recv(none, 99)},
		{"served twice", "another Recv", a.Recv(none, 2, 3)},
		{"served twice by all", "another Recv", a.Recv(none)},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, c.err, c.want)
		}
	}
}
