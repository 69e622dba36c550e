package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// agreed is what a handshake ends with.
type agreed struct {
	theirs *hello
	start  []byte
}

// lobby decides which callers the listener takes in; the mesh implements it.
type lobby interface {
	// claim reserves the ID for this link, or says in words for the caller why not. A link that claimed the ID before and has
	// not finished is closed: its caller has given up and called again.
	claim(id uint16, l *link) error
}

// dial runs the dialer's part. An error that is not final() is worth another attempt.
func (p *plan) dial(l *link, to uint16) (*agreed, error) {
	if l.cert != 0 && l.cert != to {
		return nil, fmt.Errorf("variant %d answers, by its certificate, not %d: correct the addresses in the group file", l.cert, to)
	}
	ours := p.hello(to)
	out := appendFrame(appendPreface(nil, Version), frameHello, ours.encode())
	if _, err := l.conn.Write(out); err != nil {
		return nil, step("sending this variant's description", err)
	}
	version, err := l.readPreface()
	if err != nil {
		return nil, err
	}
	if version != Version {
		return nil, &VersionError{Peer: to, Remote: l.remote, Ours: Version, Theirs: version}
	}
	typ, body, err := readHandshakeFrame(l.br, frameHello, frameRefuse)
	if err != nil {
		return nil, step("reading the peer's description", err)
	}
	if typ == frameRefuse {
		return nil, &RefusedError{Peer: to, Remote: l.remote, Reason: string(body)}
	}
	theirs, err := parseHello(body)
	if err != nil {
		return nil, step("reading the peer's description", err)
	}
	if theirs.id != to || theirs.to != p.self.ID || theirs.group != p.self.Group {
		return nil, fmt.Errorf("looking for variant %d of group %q: variant %d of group %q answered", to, p.self.Group, theirs.id, theirs.group)
	}
	if err := p.judge(l, ours, theirs); err != nil {
		return nil, err
	}
	if err := l.readVerdict(to); err != nil {
		return nil, err
	}
	out = appendFrame(appendFrame(nil, frameAccept, nil), frameStart, p.self.Start)
	if _, err := l.conn.Write(out); err != nil {
		return nil, step("sending the start state", err)
	}
	return l.readStart(theirs)
}

// accept runs the listener's part.
func (p *plan) accept(l *link, lobby lobby) (*agreed, error) {
	version, err := l.readPreface()
	if err != nil {
		return nil, err
	}
	if version != Version {
		l.conn.Write(appendPreface(nil, Version))
		mismatch := &VersionError{Peer: l.cert, Remote: l.remote, Ours: Version, Theirs: version}
		if !l.trusted || l.cert != 0 && !p.expects(l.cert) {
			return nil, stranger{mismatch} // twelve bytes from anybody must not end a group
		}
		return nil, mismatch
	}
	_, body, err := readHandshakeFrame(l.br, frameHello)
	if err != nil {
		return nil, step("reading the caller's description", err)
	}
	theirs, err := parseHello(body)
	if err != nil {
		return nil, step("reading the caller's description", err)
	}
	if reason := p.admit(l, theirs, lobby); reason != nil {
		l.conn.Write(appendFrame(appendPreface(nil, Version), frameRefuse, []byte(reason.Error())))
		return nil, stranger{reason}
	}
	ours := p.hello(theirs.id)
	if _, err := l.conn.Write(appendFrame(appendPreface(nil, Version), frameHello, ours.encode())); err != nil {
		return nil, step("sending this variant's description", err)
	}
	if err := p.judge(l, ours, theirs); err != nil {
		return nil, err
	}
	if _, err := l.conn.Write(appendFrame(nil, frameAccept, nil)); err != nil {
		return nil, step("accepting the peer", err)
	}
	if err := l.readVerdict(theirs.id); err != nil {
		return nil, err
	}
	ok, err := l.readStart(theirs)
	if err != nil {
		return nil, err
	}
	if _, err := l.conn.Write(appendFrame(nil, frameStart, p.self.Start)); err != nil {
		return nil, step("sending the start state", err)
	}
	return ok, nil
}

// stranger wraps what is no reason to end the group, though the same words would be if they came from the peer.
type stranger struct{ reason error }

func (s stranger) Error() string { return s.reason.Error() }

// admit checks that the caller is who it says it is, and one that is waited for. Its words go to the caller.
func (p *plan) admit(l *link, theirs *hello, lobby lobby) error {
	switch {
	case theirs.group != p.self.Group:
		return fmt.Errorf("this is group %q, the caller belongs to group %q: correct the address in the group file", p.self.Group, theirs.group)
	case l.cert != 0 && l.cert != theirs.id:
		return fmt.Errorf("the caller says it is variant %d, its certificate says %d: put each variant's own key on its host", theirs.id, l.cert)
	case theirs.to != p.self.ID:
		return fmt.Errorf("this is variant %d, the caller looks for %d: correct the addresses in the group file", p.self.ID, theirs.to)
	case theirs.id == p.self.ID:
		return fmt.Errorf("this is variant %d and so says the caller: start each variant once", p.self.ID)
	case !p.expects(theirs.id):
		return fmt.Errorf("variant %d does not wait for a variant %d: give all variants the same group file", p.self.ID, theirs.id)
	}
	return lobby.claim(theirs.id, l)
}

func (p *plan) expects(id uint16) bool {
	for _, h := range p.higher {
		if h.ID == id {
			return true
		}
	}
	return false
}

// judge compares the two descriptions and tells the other side when they differ.
func (p *plan) judge(l *link, ours, theirs *hello) error {
	diffs := compare(ours, theirs, p.opts.PeerTimeout)
	if len(diffs) == 0 {
		return nil
	}
	err := &DifferenceError{Self: p.self.ID, Peer: theirs.id, Differences: diffs}
	text := err.Error()
	l.conn.Write(appendFrame(nil, frameRefuse, []byte(text[:min(len(text), maxText)])))
	return err
}

func (l *link) readPreface() (uint16, error) {
	var b [prefaceLen]byte
	if _, err := io.ReadFull(l.br, b[:]); err != nil {
		return 0, step("reading the protocol version", err)
	}
	return parsePreface(b[:])
}

func (l *link) readVerdict(from uint16) error {
	typ, body, err := readHandshakeFrame(l.br, frameAccept, frameRefuse)
	if err != nil {
		return step("waiting for the peer's agreement", err)
	}
	if typ == frameRefuse {
		return &RefusedError{Peer: from, Remote: l.remote, Reason: string(body)}
	}
	return nil
}

func (l *link) readStart(theirs *hello) (*agreed, error) {
	_, body, err := readHandshakeFrame(l.br, frameStart)
	if err != nil {
		return nil, step("reading the peer's start state", err)
	}
	return &agreed{theirs: theirs, start: body}, nil
}

// step says at which point of the handshake an error came, and translates what the system calls it.
func step(doing string, err error) error {
	var ne net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the other end closed the connection", doing)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return fmt.Errorf("%s: the other end took too long", doing)
	}
	return fmt.Errorf("%s: %w%s", doing, err, keyHint(err))
}
