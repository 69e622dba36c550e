package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// backoff is a growing, capped and slightly random pause.
type backoff struct{ next time.Duration }

const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
	dialTime   = 3 * time.Second // for one attempt to connect: a lost packet must not cost the whole start time-out
)

func newBackoff() *backoff { return &backoff{next: firstPause} }

// wait returns false when ctx ended first.
func (b *backoff) wait(ctx context.Context) bool {
	d := b.next*3/4 + rand.N(b.next/2)
	b.next = min(b.next*8/5, lastPause)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect opens the connection to a listening peer and proves both ends to each other.
func (p *plan) connect(ctx context.Context, to Peer) (*link, error) {
	remote := fmt.Sprintf("%s %s", to.Network, to.Address)
	d := net.Dialer{Timeout: dialTime, KeepAlive: -1}
	raw, err := d.DialContext(ctx, to.Network, to.Address)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
			return nil, errors.New("nothing listens there: it is not running, or its group is already complete")
		}
		return nil, fmt.Errorf("connecting: %w", err)
	}
	l := newLink(raw, remote)
	if err := p.authenticate(ctx, l, to.Network, p.client[to.ID], tls.Client); err != nil {
		raw.Close()
		return nil, err
	}
	return l, nil
}

// authenticate proves who is at the other end, as far as the kind of connection can.
func (p *plan) authenticate(ctx context.Context, l *link, network string, keys *tls.Config, side func(net.Conn, *tls.Config) *tls.Conn) error {
	if network == "unix" {
		err := checkUser(l.raw)
		l.trusted = err == nil
		return err
	}
	tuneTCP(l.raw, p.opts)
	if keys == nil {
		return nil
	}
	return l.secure(ctx, side(l.raw, keys), p.opts.Keys)
}

// tuneTCP lets the kernel give up on unacknowledged data a little after the watch does, whose words are better. Latency
// (TCP_NODELAY) is Go's default; keep-alives are off because heartbeats do their work.
func tuneTCP(conn net.Conn, o Options) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	ms := int((o.PeerTimeout + o.Heartbeat) / time.Millisecond)
	err2 := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms) })
	// A caller that was turned away meanwhile is closed; a log line for each would be a stranger's to write.
	if err := errors.Join(err, err2); err != nil && !errors.Is(err, net.ErrClosed) {
		o.Logger.Warnf("setting TCP_USER_TIMEOUT: %v: a lost peer is still noticed by its silence", err)
	}
}

// reach dials until there is a session, or an error that no further attempt cures. note gets what each attempt failed of.
func (p *plan) reach(ctx context.Context, to Peer, note func(error)) (*link, *agreed, error) {
	for pause := newBackoff(); ; {
		l, a, err := p.attempt(ctx, to)
		if err == nil {
			return l, a, nil
		}
		if final(err) {
			return nil, nil, err
		}
		if ctx.Err() == nil { // a cancelled attempt says nothing of the peer
			note(err)
		}
		if !pause.wait(ctx) {
			return nil, nil, ctx.Err()
		}
	}
}

func (p *plan) attempt(ctx context.Context, to Peer) (*link, *agreed, error) {
	short, cancel := context.WithTimeout(ctx, p.opts.HandshakeTimeout)
	defer cancel()
	l, err := p.connect(short, to)
	if err != nil {
		return nil, nil, err
	}
	stop := l.bound(ctx, p.opts.HandshakeTimeout)
	a, err := p.dial(l, to.ID)
	if late := stop(); err == nil {
		err = late
	}
	if err != nil {
		l.part()
		return nil, nil, err
	}
	return l, a, nil
}
