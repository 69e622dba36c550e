package peer

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
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

// TestSlowCallersDoNotStarveThePeer: more silent and dripping callers than may wait, renewed all the time, from the real peer's own address. Those in a
// hurry leave a caller 10 ms before it is sent away, which is enough for a ClientHello; those that hold on keep everybody out of a listener that
// refuses callers when it is full.
func TestSlowCallersDoNotStarveThePeer(t *testing.T) {
	for _, c := range []struct {
		name        string
		hold, pause time.Duration
	}{
		{"in a hurry", 100 * time.Millisecond, 20 * time.Millisecond},
		{"holding on", 2 * time.Second, 200 * time.Millisecond},
	} {
		for _, transport := range []string{"tcp4", "plain", "unix"} {
			t.Run(c.name+"/"+transport, func(t *testing.T) {
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
								conn.SetReadDeadline(time.Now().Add(c.hold))
								conn.Read(make([]byte, 1))
								conn.Close()
							}
							select {
							case <-stop:
								return
							case <-time.After(c.pause):
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
}

// TestGreetedCallersAreOutOfReach: who has sent its ClientHello is not displaced by any number of callers that send none.
func TestGreetedCallersAreOutOfReach(t *testing.T) {
	keys := loadKeys(t, makeKeys(t, "web", 1, 2), "web", 1)
	a := &assembly{plan: &plan{server: hardened(keys.Server())}}
	here, there := net.Pipe()
	a.porch.enter(hostOf(here.RemoteAddr()), here)
	var wg sync.WaitGroup
	wg.Go(func() { tls.Server(here, a.attentive()).Handshake() })
	wg.Go(func() {
		tls.Client(there, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}).Handshake()
	})
	defer wg.Wait()
	defer here.Close()
	defer there.Close()
	in := func(p *porch) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.waiting, func(w waiting) bool { return w.conn == here })
	}
	for end := time.Now().Add(5 * time.Second); !in(&a.hall); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("its ClientHello did not take it to the hall")
		}
	}
	for range 100 {
		a.porch.enter(hostOf(here.RemoteAddr()), &fakeConn{})
	}
	if in(&a.porch) || !in(&a.hall) {
		t.Errorf("on the porch: %v, in the hall: %v", in(&a.porch), in(&a.hall))
	}
	a.leave(here)
	if in(&a.hall) {
		t.Error("it left, and is in the hall")
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
