package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"
)

// clockBase makes instants comparable as plain numbers, from the monotonic clock.
var clockBase = time.Now()

func clock() time.Duration { return time.Since(clockBase) }

// meter notes when bytes last came. It sits above TLS: what counts as a sign of life is authenticated, and somebody on the wire cannot
// keep a dead session alive by dripping bytes.
type meter struct {
	conn net.Conn
	last atomic.Int64 // clock()
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.conn.Read(b)
	if n > 0 {
		m.touch()
	}
	return n, err
}

func (m *meter) touch()                { m.last.Store(int64(clock())) }
func (m *meter) silent() time.Duration { return clock() - time.Duration(m.last.Load()) }

// link is one connection, from the first byte on.
type link struct {
	raw    net.Conn // the socket
	conn   net.Conn // what frames go through: the socket, or TLS over it
	in     *meter
	br     *bufio.Reader
	remote string // for messages
	cert   uint16 // the variant that the certificate names; 0 without TLS
	// trusted: the other end has proved that it belongs to the group (certificate) or to this user (SO_PEERCRED).
	trusted bool
}

const readBuffer = 64 << 10

func newLink(raw net.Conn, remote string) *link {
	l := &link{raw: raw, remote: remote}
	l.use(raw)
	return l
}

func (l *link) use(conn net.Conn) {
	l.conn = conn
	l.in = &meter{conn: conn}
	l.in.touch()
	l.br = bufio.NewReaderSize(l.in, readBuffer)
}

// secure runs the TLS handshake and learns from the certificate who the other end is.
func (l *link) secure(ctx context.Context, conn *tls.Conn, keys Keys) error {
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("proving who is who by TLS: %w%s", err, keyHint(err))
	}
	id, err := keys.Peer(conn.ConnectionState())
	if err == nil && (id < 1 || id > math.MaxUint16) {
		err = fmt.Errorf("variant %d: IDs are 1 to %d", id, math.MaxUint16)
	}
	if err != nil {
		return fmt.Errorf("reading the variant from the other end's certificate: %w", err)
	}
	l.use(conn)
	l.cert, l.trusted = uint16(id), true
	return nil
}

// bound ends the link's reads and writes after d, or at once when ctx ends. The caller stops it before using the link otherwise; stop fails when
// ctx was quicker.
func (l *link) bound(ctx context.Context, d time.Duration) (stop func() error) {
	l.raw.SetDeadline(time.Now().Add(d))
	revoke := context.AfterFunc(ctx, func() { l.raw.SetDeadline(time.Unix(1, 0)) })
	return func() error {
		if !revoke() {
			return context.Cause(ctx)
		}
		return nil
	}
}

const lingerTime = 500 * time.Millisecond

// part closes the link in such a way that what was written last is read: closing a socket with unread data would reset the connection, and
// the reason would be lost with it.
func (l *link) part() {
	l.raw.SetDeadline(time.Now().Add(lingerTime))
	closeWrite(l.raw)
	io.Copy(io.Discard, io.LimitReader(l.raw, maxStart))
	l.raw.Close()
}

func closeWrite(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		h.CloseWrite()
	}
}
