package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Version of the protocol. Two supervisors with different ones name both and part.
const Version = 1

const (
	// Kinds is the number of kinds of data frames: a kind is 0 to Kinds-1.
	Kinds = 16
	// MaxPayload is the largest payload of one Send, in bytes.
	MaxPayload = 256 << 10

	maxHello = 1 << 20
	maxStart = 8 << 20
	maxText  = 4 << 10
)

// The preface is the one thing that no later version may change: 8 bytes magic, version u16, zero u16.
const prefaceLen = 12

var magic = [8]byte{'m', 'o', 'n', 'm', 'o', 'd', 0, '\n'}

var errNotMonmod = errors.New("it does not speak monmod's peer protocol (another program has this port, or the data was damaged)")

func appendPreface(b []byte, version uint16) []byte {
	b = append(b, magic[:]...)
	b = binary.LittleEndian.AppendUint16(b, version)
	return append(b, 0, 0)
}

// parsePreface returns the other side's version.
func parsePreface(b []byte) (uint16, error) {
	if len(b) != prefaceLen || !bytes.Equal(b[:8], magic[:]) {
		return 0, errNotMonmod
	}
	return binary.LittleEndian.Uint16(b[8:]), nil
}

type frameType uint8

const (
	frameData   frameType = 1
	frameBeat   frameType = 2 // a sign of life when there is nothing to say
	frameCredit frameType = 3 // u32: bytes of the kind's window given back
	frameBye    frameType = 4 // u8 exit code, text
	frameHello  frameType = 16
	frameRefuse frameType = 17 // text
	frameAccept frameType = 18
	frameStart  frameType = 19
)

// frameRules bounds every type; a type without a name does not exist.
var frameRules = [256]struct {
	name      string
	min, max  uint32
	hasKind   bool
	handshake bool
}{
	frameData:   {name: "data", max: MaxPayload, hasKind: true},
	frameBeat:   {name: "heartbeat"},
	frameCredit: {name: "credit", min: 4, max: 4, hasKind: true},
	frameBye:    {name: "goodbye", min: 1, max: 1 + maxText},
	frameHello:  {name: "hello", min: helloFixed, max: maxHello, handshake: true},
	frameRefuse: {name: "refuse", max: maxText, handshake: true},
	frameAccept: {name: "accept", handshake: true},
	frameStart:  {name: "start", max: maxStart, handshake: true},
}

func (t frameType) String() string {
	if n := frameRules[t].name; n != "" {
		return n
	}
	return fmt.Sprintf("type %d", uint8(t))
}

const headerLen = 8

type header struct {
	length uint32
	typ    frameType
	kind   uint8
}

func (h header) put(b *[headerLen]byte) {
	binary.LittleEndian.PutUint32(b[:4], h.length)
	b[4], b[5], b[6], b[7] = uint8(h.typ), h.kind, 0, 0
}

// protocolError is what a peer did that no supervisor of this version does.
type protocolError string

func (e protocolError) Error() string { return string(e) }

func violation(format string, args ...any) error { return protocolError(fmt.Sprintf(format, args...)) }

// parseHeader checks everything that can be known before the payload is read, so that no length is trusted.
func parseHeader(b *[headerLen]byte, handshake bool) (header, error) {
	h := header{length: binary.LittleEndian.Uint32(b[:4]), typ: frameType(b[4]), kind: b[5]}
	r := frameRules[h.typ]
	switch {
	case r.name == "":
		return header{}, violation("a frame of unknown %v", h.typ)
	case r.handshake != handshake:
		return header{}, violation("a %v frame out of place", h.typ)
	case b[6] != 0 || b[7] != 0:
		return header{}, violation("a %v frame whose reserved bytes are not zero", h.typ)
	case h.length < r.min || h.length > r.max:
		return header{}, violation("a %v frame of %d bytes, allowed are %d to %d", h.typ, h.length, r.min, r.max)
	case !r.hasKind && h.kind != 0, r.hasKind && h.kind >= Kinds:
		return header{}, violation("a %v frame of kind %d", h.typ, h.kind)
	}
	return h, nil
}

func readHeader(r io.Reader, scratch *[headerLen]byte, handshake bool) (header, error) {
	if _, err := io.ReadFull(r, scratch[:]); err != nil {
		return header{}, err
	}
	return parseHeader(scratch, handshake)
}

// appendFrame is the handshake's writer; data frames are gathered instead of copied.
func appendFrame(b []byte, typ frameType, payload []byte) []byte {
	var h [headerLen]byte
	header{length: uint32(len(payload)), typ: typ}.put(&h)
	return append(append(b, h[:]...), payload...)
}

// readHandshakeFrame reads one frame of one of the given types. Memory grows with what arrives, not with what was announced.
func readHandshakeFrame(r io.Reader, want ...frameType) (frameType, []byte, error) {
	var scratch [headerLen]byte
	h, err := readHeader(r, &scratch, true)
	if err != nil {
		return 0, nil, err
	}
	if !slices.Contains(want, h.typ) {
		return 0, nil, violation("a %v frame where %v was expected", h.typ, want)
	}
	payload, err := io.ReadAll(io.LimitReader(r, int64(h.length)))
	if err != nil {
		return 0, nil, err
	}
	if uint32(len(payload)) != h.length {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return h.typ, payload, nil
}
