package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// listen opens this variant's endpoint.
func listen(ctx context.Context, at Endpoint) (net.Listener, error) {
	if at.Network == "unix" {
		return listenUnix(ctx, at.Address)
	}
	lc := net.ListenConfig{KeepAlive: -1}
	ln, err := lc.Listen(ctx, at.Network, at.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listening for other variants at %s: the port is taken: this variant is running already, or another program uses it (see `ss -ltnp`)", at.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("listening for other variants at %s: %w: the address must be one of this host", at.Address, err)
	}
	return ln, nil
}

const (
	maxPending        = 64 // callers of a porch, which have not proved anything yet
	maxPendingPerHost = 8
)

// porch bounds the callers that have not been authenticated. A new one is always let onto it; when it is full, the oldest caller of the host that has
// most of them there is sent away. So slow or silent callers cannot keep the real peer out: from another host they only displace each other, from
// its own they would have to be quicker than its ClientHello, and those that send one too quicker than its handshake: a caller whose ClientHello
// has come moves to a second porch, the hall, where silent ones do not come.
type porch struct {
	mu      sync.Mutex
	waiting []waiting // oldest first
}

type waiting struct {
	host string
	conn net.Conn
}

func (p *porch) enter(host string, conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := map[string]int{}
	most := host
	for _, w := range p.waiting {
		count[w.host]++
		if count[w.host] > count[most] {
			most = w.host
		}
	}
	switch {
	case count[host] >= maxPendingPerHost:
		p.sendAway(host)
	case len(p.waiting) >= maxPending:
		p.sendAway(most)
	}
	p.waiting = append(p.waiting, waiting{host, conn})
}

func (p *porch) sendAway(host string) {
	for i, w := range p.waiting {
		if w.host == host {
			w.conn.Close()
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return
		}
	}
}

func (p *porch) leave(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.waiting {
		if w.conn == conn {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return
		}
	}
}

// hostOf is what one attacker can hardly have many of: an IPv4 address, an IPv6 network of 64 bits.
func hostOf(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return addr.Network()
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if net64, err := a.Prefix(64); err == nil {
			return net64.String()
		}
	}
	return a.String()
}

// attentive is the server's side of TLS, which takes a caller to the hall once it has greeted; nil without keys.
func (a *assembly) attentive() *tls.Config {
	if a.plan.server == nil {
		return nil
	}
	c := a.plan.server.Clone()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		a.porch.leave(hello.Conn)
		a.hall.enter(hostOf(hello.Conn.RemoteAddr()), hello.Conn)
		return nil, nil
	}
	return c
}

// serve takes callers in until ctx ends.
func (a *assembly) serve(ctx context.Context, ln net.Listener) {
	keys := a.attentive()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for pause := newBackoff(); ; {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors or memory, or a caller gone before it was taken: all pass
			a.log.warn("", "taking a caller in at %s: %v", ln.Addr(), err)
			if !pause.wait(ctx) {
				return
			}
			continue
		}
		pause = newBackoff()
		a.goes.Add(1)
		go func() {
			defer a.goes.Done()
			a.receive(ctx, conn, keys)
		}()
	}
}

func (a *assembly) leave(conn net.Conn) {
	a.porch.leave(conn)
	a.hall.leave(conn)
}

// receive takes one caller through authentication and handshake.
func (a *assembly) receive(ctx context.Context, conn net.Conn, keys *tls.Config) {
	network := a.plan.opts.Listen.Network
	remote := fmt.Sprintf("%s %s", network, conn.RemoteAddr())
	if network == "unix" {
		remote = fmt.Sprintf("%s %s", network, a.plan.opts.Listen.Address)
	}
	l := newLink(conn, remote)
	a.porch.enter(hostOf(conn.RemoteAddr()), conn)
	stop := l.bound(ctx, a.plan.opts.HandshakeTimeout)
	// The bound's deadline covers TLS as well.
	err := a.plan.authenticate(ctx, l, network, keys, tls.Server)
	if l.trusted {
		a.leave(conn)
	}
	var ok *agreed
	if err == nil {
		ok, err = a.plan.accept(l, a)
	}
	if late := stop(); err == nil {
		err = late
	}
	a.leave(conn)
	if err == nil {
		err = a.establish(l, ok)
	}
	if err == nil {
		return
	}
	l.part() // before anything else: the caller shall get its reason before this process ends
	switch {
	case final(err):
		a.fail(err)
	case ctx.Err() == nil:
		a.turnedAway(l, err)
	}
}
