package peer

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// hello is what one supervisor says of itself. On the wire: id u16, to u16, window u32, heartbeat in ms u32, digest, group (length u8), number of
// facts u16, then per fact: flags u8, name (u8), remedy (u16), value (u32).
type hello struct {
	group     string
	id, to    uint16
	digest    [32]byte
	window    uint32
	heartbeat time.Duration
	facts     []Fact
}

const (
	helloFixed   = 2 + 2 + 4 + 4 + 32 + 1 + 2
	maxFacts     = 256
	maxName      = 128
	maxValue     = 64 << 10
	maxRemedy    = 1 << 10
	maxHeartbeat = time.Hour

	factMustEqual  = 1
	factMustDiffer = 2
)

func (h *hello) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, h.id)
	b = le.AppendUint16(b, h.to)
	b = le.AppendUint32(b, h.window)
	b = le.AppendUint32(b, uint32(h.heartbeat/time.Millisecond))
	b = append(b, h.digest[:]...)
	b = append(append(b, uint8(min(len(h.group), 255))), h.group...)
	b = le.AppendUint16(b, uint16(min(len(h.facts), 0xffff)))
	for _, f := range h.facts {
		var flags uint8
		if f.MustEqual {
			flags |= factMustEqual
		}
		if f.MustDiffer {
			flags |= factMustDiffer
		}
		b = append(b, flags, uint8(min(len(f.Name), 255)))
		b = append(b, f.Name...)
		b = append(le.AppendUint16(b, uint16(min(len(f.Remedy), 0xffff))), f.Remedy...)
		b = append(le.AppendUint32(b, uint32(len(f.Value))), f.Value...)
	}
	return b
}

// cursor takes a message apart; after the first fault everything it yields is zero.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) take(n int) []byte {
	if c.err == nil && n > len(c.rest) {
		c.err = violation("a hello that ends too early")
	}
	if c.err != nil {
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uint(size int) uint32 {
	var v uint32
	for i, x := range c.take(size) {
		v |= uint32(x) << (8 * i)
	}
	return v
}

func (c *cursor) text(what string, lengthSize, least, most int) string {
	n := int(c.uint(lengthSize))
	if c.err == nil && (n < least || n > most) {
		c.err = violation("a %s of %d bytes, allowed are %d to %d", what, n, least, most)
	}
	return string(c.take(n))
}

func parseHello(b []byte) (*hello, error) {
	if len(b) > maxHello {
		return nil, violation("a hello of %d bytes, allowed are %d: shorten or digest the longest facts", len(b), maxHello)
	}
	c := &cursor{rest: b}
	h := &hello{id: uint16(c.uint(2)), to: uint16(c.uint(2)), window: c.uint(4)}
	h.heartbeat = time.Duration(c.uint(4)) * time.Millisecond
	copy(h.digest[:], c.take(len(h.digest)))
	h.group = c.text("group name", 1, 1, maxName)
	n := int(c.uint(2))
	switch {
	case c.err != nil:
	case n > maxFacts:
		c.err = violation("%d facts, allowed are %d", n, maxFacts)
	case h.id == 0:
		c.err = violation("a hello from variant 0")
	case h.window < minWindow || h.window > maxWindow:
		c.err = violation("a window of %d bytes, allowed are %d to %d", h.window, minWindow, maxWindow)
	case h.heartbeat == 0 || h.heartbeat > maxHeartbeat:
		c.err = violation("a heartbeat every %v", h.heartbeat)
	}
	seen := map[string]bool{}
	for i := 0; i < n && c.err == nil; i++ {
		f := c.fact()
		switch {
		case c.err != nil:
		case seen[f.Name]:
			c.err = violation("two facts named %q", f.Name)
		}
		seen[f.Name] = true
		h.facts = append(h.facts, f)
	}
	if c.err == nil && len(c.rest) > 0 {
		c.err = violation("a hello with %d bytes too many", len(c.rest))
	}
	if c.err != nil {
		return nil, c.err
	}
	return h, nil
}

func (c *cursor) fact() Fact {
	flags := c.uint(1)
	f := Fact{
		Name:       c.text("fact's name", 1, 1, maxName),
		Remedy:     c.text("fact's remedy", 2, 0, maxRemedy),
		Value:      c.text("fact's value", 4, 0, maxValue),
		MustEqual:  flags&factMustEqual != 0,
		MustDiffer: flags&factMustDiffer != 0,
	}
	if c.err == nil && (flags&^(factMustEqual|factMustDiffer) != 0 || f.MustEqual && f.MustDiffer) {
		c.err = violation("a fact with flags %#x", flags)
	}
	return f
}

const notStated = "(nothing)"

// compare lists in which ways two variants do not fit. Both ends find the same, with the sides exchanged.
func compare(ours, theirs *hello, peerTimeout time.Duration) []Difference {
	var out []Difference
	if ours.digest != theirs.digest {
		out = append(out, Difference{
			Name: "configuration", Ours: hex.EncodeToString(ours.digest[:]), Theirs: hex.EncodeToString(theirs.digest[:]),
			Remedy: "give all variants the same group file: these are the digests of what the files mean",
		})
	}
	if theirs.heartbeat*2 > peerTimeout {
		out = append(out, Difference{
			Name: "heartbeat", Ours: fmt.Sprintf("peer time-out %v", peerTimeout), Theirs: fmt.Sprintf("a heartbeat every %v", theirs.heartbeat),
			Remedy: "give both the same peer time-out, at least two heartbeats long",
		})
	}
	other := map[string]Fact{}
	for _, f := range theirs.facts {
		other[f.Name] = f
	}
	for _, f := range ours.facts {
		g, stated := other[f.Name]
		delete(other, f.Name)
		if !stated {
			g.Value = notStated
		}
		switch {
		case (f.MustEqual || g.MustEqual) && (!stated || f.Value != g.Value),
			(f.MustDiffer || g.MustDiffer) && stated && f.Value == g.Value:
			out = append(out, difference(f, g))
		}
	}
	for _, g := range theirs.facts {
		if _, left := other[g.Name]; left && g.MustEqual {
			out = append(out, difference(Fact{Name: g.Name, Value: notStated}, g))
		}
	}
	return out
}

func difference(f, g Fact) Difference {
	d := Difference{Name: f.Name, Ours: f.Value, Theirs: g.Value, Remedy: f.Remedy}
	if d.Remedy == "" {
		d.Remedy = g.Remedy
	}
	if f.Value == g.Value {
		d.Name += " (must not be the same)"
	}
	return d
}
