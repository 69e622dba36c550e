package peer

import (
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHostileCallers: whatever strangers do at the listener's door, the real peer gets in and the log stays short.
func TestHostileCallers(t *testing.T) {
	garbage := make([]byte, 100_000)
	rand.Read(garbage)
	hello := appendFrame(appendPreface(nil, Version), frameHello, sampleHello().encode())
	for _, c := range []struct {
		name string
		act  func(conn net.Conn)
		word string // in the listener's log
	}{
		{"garbage", func(conn net.Conn) { conn.Write(garbage) }, "turned a caller away"},
		{"hang up at once", func(conn net.Conn) {}, "turned a caller away"},
		{"plain text of another protocol", func(conn net.Conn) { conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")) }, "turned a caller away"},
		{"half a hello", func(conn net.Conn) { conn.Write(hello[:40]) }, "turned a caller away"},
		{"an endless hello", func(conn net.Conn) {
			b := appendPreface(nil, Version)
			conn.Write(append(b, 255, 255, 255, 255, byte(frameHello), 0, 0, 0))
			conn.Write(garbage)
		}, "turned a caller away"},
		{"a truthful length without the bytes", func(conn net.Conn) {
			b := appendPreface(nil, Version)
			conn.Write(append(b, 0, 0, 16, 0, byte(frameHello), 0, 0, 0))
		}, "turned a caller away"},
	} {
		for _, transport := range transports {
			t.Run(c.name+"/"+transport, func(t *testing.T) {
				g := newGroup(t, transport, 1, 2)
				a, b := g.member(t, 1), g.member(t, 2)
				a.opts.HandshakeTimeout = 300 * time.Millisecond
				var wg sync.WaitGroup
				for range 5 {
					wg.Go(func() {
						if conn := knock(t, g, 1); conn != nil {
							c.act(conn)
							time.Sleep(50 * time.Millisecond)
							conn.Close()
						}
					})
				}
				out := start(t, 200*time.Millisecond, a, b)
				wg.Wait()
				if out[0].err != nil || out[1].err != nil {
					t.Fatalf("%v, %v", out[0].err, out[1].err)
				}
				wantWords(t, "the listener's log", a.log.String(), c.word)
			})
		}
	}
}

// TestSlowCallersDoNotStarveThePeer: more silent callers than may wait, from the real peer's own address, each of which comes back a little after it
// was sent away. Two thirds of them are away at any time, so that one comes every pause/(2*maxPendingPerHost), and who is let in has half a pause
// for its handshake. That must be ample, beside other tests too: quicker callers from its own address do keep the peer out (porch).
func TestSlowCallersDoNotStarveThePeer(t *testing.T) {
	const pause = 200 * time.Millisecond
	for _, transport := range []string{"tcp4", "plain", "unix"} {
		t.Run(transport, func(t *testing.T) {
			g := newGroup(t, transport, 1, 2)
			a, b := g.member(t, 1), g.member(t, 2)
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for range 3 * maxPendingPerHost {
				wg.Go(func() {
					for {
						conn, err := net.Dial(g.network, g.listen[1])
						if err == nil {
							conn.Write([]byte{22, 3}) // the beginning of a TLS handshake that never goes on
							conn.SetReadDeadline(time.Now().Add(a.opts.HandshakeTimeout))
							conn.Read(make([]byte, 1))
							conn.Close()
						}
						select {
						case <-stop:
							return
						case <-time.After(pause):
						}
					}
				})
			}
			out := start(t, 500*time.Millisecond, a, b)
			close(stop)
			wg.Wait()
			if out[0].err != nil || out[1].err != nil {
				t.Fatalf("%v, %v", out[0].err, out[1].err)
			}
			if n := strings.Count(a.log.String(), "\n"); n > logBurst+10 {
				t.Errorf("the log has %d lines:\n%s", n, a.log.String())
			}
		})
	}
}

func TestPorch(t *testing.T) {
	var p porch
	conns := map[string][]*fakeConn{}
	enter := func(host string) {
		c := &fakeConn{}
		conns[host] = append(conns[host], c)
		p.enter(host, c)
	}
	closed := func(host string) (n int) {
		for _, c := range conns[host] {
			if c.closed {
				n++
			}
		}
		return n
	}
	enter("peer")
	for range 100 {
		enter("attacker")
	}
	if len(p.waiting) != 1+maxPendingPerHost || closed("peer") != 0 || closed("attacker") != 100-maxPendingPerHost {
		t.Errorf("%d wait, %d of the peer's and %d of the attacker's were closed", len(p.waiting), closed("peer"), closed("attacker"))
	}
	for i := range 40 {
		for range 3 {
			enter(fmt.Sprintf("bot %d", i))
		}
	}
	if len(p.waiting) != maxPending || closed("peer") != 0 {
		t.Errorf("%d wait, %d of the peer's were closed", len(p.waiting), closed("peer"))
	}
	p.leave(conns["peer"][0])
	if len(p.waiting) != maxPending-1 {
		t.Errorf("%d wait after one left", len(p.waiting))
	}
}

type fakeConn struct {
	net.Conn
	closed bool
}

func (c *fakeConn) Close() error { c.closed = true; return nil }

func TestHostOf(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"10.0.0.5:99", "10.0.0.5"},
		{"[::ffff:10.0.0.5]:99", "10.0.0.5"},
		{"[2001:db8:1:2:3:4:5:6]:99", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:99", "fe80::/64"},
		{"[::1]:99", "::1"},
	} {
		a, err := net.ResolveTCPAddr("tcp", c.address)
		must(t, err)
		if got := hostOf(a); got != c.want {
			t.Errorf("%s: got %s, want %s", c.address, got, c.want)
		}
	}
}
