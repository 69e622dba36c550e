package peer

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
)

// gatherAbove is the size from which a frame on a plain socket is written by writev instead of being copied together.
const gatherAbove = 16 << 10

// writer puts frames on the connection, one at a time.
type writer struct {
	mu    sync.Mutex
	conn  net.Conn
	buf   *bufio.Writer
	plain bool
	hdr   [headerLen]byte
	parts [][]byte    // reused, so that a frame costs no allocation
	vec   net.Buffers // a field because WriteTo takes its address
}

func newWriter(conn net.Conn) *writer {
	_, secure := conn.(*tls.Conn)
	// One full buffer is one full TLS record.
	return &writer{conn: conn, buf: bufio.NewWriterSize(conn, 16<<10), plain: !secure}
}

// frame writes one frame whose parts hold n bytes together. The caller holds mu.
func (w *writer) frame(typ frameType, kind uint8, n int, payload ...[]byte) error {
	header{length: uint32(n), typ: typ, kind: kind}.put(&w.hdr)
	if w.plain && n >= gatherAbove {
		return w.gather(payload)
	}
	w.buf.Write(w.hdr[:]) // an error sticks and comes back from Flush
	for _, p := range payload {
		w.buf.Write(p)
	}
	return w.buf.Flush()
}

func (w *writer) gather(payload [][]byte) error {
	w.parts = append(append(w.parts[:0], w.hdr[:]), payload...)
	w.vec = w.parts
	_, err := w.vec.WriteTo(w.conn)
	clear(w.parts) // the caller's buffers are not kept alive
	return err
}
