package peer

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestHeaderRefuses(t *testing.T) {
	for _, c := range []struct {
		name      string
		bytes     [headerLen]byte
		handshake bool
		want      string
	}{
		{"unknown type", [8]byte{0, 0, 0, 0, 99}, false, "unknown type 99"},
		{"type zero", [8]byte{}, false, "unknown type 0"},
		{"too long", [8]byte{1, 0, 4, 0, 1}, false, "data frame of 262145 bytes"},
		{"length all ones", [8]byte{255, 255, 255, 255, 1}, false, "data frame of 4294967295 bytes"},
		{"kind out of range", [8]byte{0, 0, 0, 0, 1, 16}, false, "kind 16"},
		{"kind where none belongs", [8]byte{0, 0, 0, 0, 2, 1}, false, "heartbeat frame of kind 1"},
		{"credit of three bytes", [8]byte{3, 0, 0, 0, 3}, false, "credit frame of 3 bytes"},
		{"goodbye without code", [8]byte{0, 0, 0, 0, 4}, false, "goodbye frame of 0 bytes"},
		{"reserved bytes", [8]byte{0, 0, 0, 0, 1, 0, 1}, false, "reserved"},
		{"data before the handshake", [8]byte{0, 0, 0, 0, 1}, true, "data frame out of place"},
		{"hello after the handshake", [8]byte{255, 0, 0, 0, 16}, false, "hello frame out of place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseHeader(&c.bytes, c.handshake)
			var broke protocolError
			if !errors.As(err, &broke) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{5, 0, 0, 0, 1, 3, 0, 0, 'h', 'e', 'l', 'l', 'o'}, false)
	f.Add([]byte{4, 0, 0, 0, 3, 3, 0, 0, 1, 0, 0, 0}, false)
	f.Add(appendFrame(nil, frameAccept, nil), true)
	f.Add(appendFrame(nil, frameRefuse, []byte("no")), true)
	f.Fuzz(func(t *testing.T, b []byte, handshake bool) {
		if handshake {
			typ, payload, err := readHandshakeFrame(bytes.NewReader(b), frameHello, frameRefuse, frameAccept, frameStart)
			if err == nil && !bytes.HasPrefix(b, appendFrame(nil, typ, payload)) {
				t.Fatalf("%x was read as %v %x", b, typ, payload)
			}
			return
		}
		var scratch, again [headerLen]byte
		h, err := readHeader(bytes.NewReader(b), &scratch, false)
		if err != nil {
			return
		}
		if h.put(&again); again != scratch {
			t.Fatalf("%x was read as %+v", scratch, h)
		}
		if h.length > frameRules[h.typ].max || h.kind >= Kinds {
			t.Fatalf("%x: %+v is out of bounds", scratch, h)
		}
	})
}

func sampleHello() *hello {
	return &hello{
		group: "web", id: 2, to: 1, digest: [32]byte{9}, window: defaultWindow, heartbeat: 500 * time.Millisecond,
		facts: []Fact{
			{Name: "program", Value: "77", MustEqual: true, Remedy: "install the same"},
			{Name: "base", Value: "0x1000", MustDiffer: true},
		},
	}
}

func FuzzHello(f *testing.F) {
	f.Add(sampleHello().encode())
	f.Add((&hello{group: "g", id: 1, to: 2, window: minWindow, heartbeat: time.Second}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		if !bytes.Equal(h.encode(), b) {
			t.Fatalf("%x does not come back as it was", b)
		}
		// Whatever a peer says must be printable in an error.
		if d := compare(sampleHello(), h, time.Second); len(d) > 0 {
			text := (&DifferenceError{Self: 1, Peer: 2, Differences: d}).Error()
			if strings.ContainsAny(text, "\x1b\n\r\x00") {
				t.Fatalf("control characters in %q", text)
			}
		}
	})
}

func FuzzPreface(f *testing.F) {
	f.Add(appendPreface(nil, Version))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parsePreface(b); err == nil && !bytes.Equal(appendPreface(nil, v)[:10], b[:10]) {
			t.Fatalf("%x was read as version %d", b, v)
		}
	})
}

func TestHelloRoundTrip(t *testing.T) {
	got, err := parseHello(sampleHello().encode())
	if err != nil || !reflect.DeepEqual(got, sampleHello()) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestHelloRefuses(t *testing.T) {
	good := sampleHello().encode()
	for _, c := range []struct {
		name   string
		damage func(h *hello) []byte
		want   string
	}{
		{"cut short", func(*hello) []byte { return good[:len(good)-1] }, "too early"},
		{"one byte more", func(*hello) []byte { return append(bytes.Clone(good), 0) }, "1 bytes too many"},
		{"variant 0", func(h *hello) []byte { h.id = 0; return h.encode() }, "variant 0"},
		{"no group", func(h *hello) []byte { h.group = ""; return h.encode() }, "group name of 0 bytes"},
		{"small window", func(h *hello) []byte { h.window = 1; return h.encode() }, "window of 1 bytes"},
		{"huge window", func(h *hello) []byte { h.window = 1 << 31; return h.encode() }, "window of 2147483648"},
		{"no heartbeat", func(h *hello) []byte { h.heartbeat = 0; return h.encode() }, "heartbeat every 0s"},
		{"same fact twice", func(h *hello) []byte { h.facts = append(h.facts, h.facts[0]); return h.encode() }, `two facts named "program"`},
		{"equal and different", func(h *hello) []byte { h.facts[0].MustDiffer = true; return h.encode() }, "flags 0x3"},
		{"nameless fact", func(h *hello) []byte { h.facts[0].Name = ""; return h.encode() }, "name of 0 bytes"},
		{"too many facts", func(h *hello) []byte { h.facts = make([]Fact, maxFacts+1); return h.encode() }, "257 facts"},
		{"huge fact", func(h *hello) []byte { h.facts[0].Value = strings.Repeat("x", maxValue+1); return h.encode() }, "value of 65537 bytes"},
		{"length beyond the end", func(*hello) []byte {
			b := bytes.Clone(good)
			b[helloFixed+len("web")+2+len("program")+2+len("install the same")+1] = 0xff
			return b
		}, "too early"},
		{"huge", func(*hello) []byte { return make([]byte, maxHello+1) }, "hello of 1048577 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseHello(c.damage(sampleHello()))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, theirs []Fact
		want         []string // name=ours/theirs
	}{
		{"same", []Fact{{Name: "a", Value: "1", MustEqual: true}}, []Fact{{Name: "a", Value: "1", MustEqual: true}}, nil},
		{"free to differ", []Fact{{Name: "a", Value: "1"}}, []Fact{{Name: "a", Value: "2"}}, nil},
		{"differs", []Fact{{Name: "a", Value: "1", MustEqual: true}}, []Fact{{Name: "a", Value: "2", MustEqual: true}}, []string{"a=1/2"}},
		{"one side insists", []Fact{{Name: "a", Value: "1"}}, []Fact{{Name: "a", Value: "2", MustEqual: true}}, []string{"a=1/2"}},
		{"they lack it", []Fact{{Name: "a", Value: "1", MustEqual: true}}, nil, []string{"a=1/(nothing)"}},
		{"we lack it", nil, []Fact{{Name: "a", Value: "1", MustEqual: true}}, []string{"a=(nothing)/1"}},
		{"must differ", []Fact{{Name: "a", Value: "1", MustDiffer: true}}, []Fact{{Name: "a", Value: "1"}}, []string{"a (must not be the same)=1/1"}},
		{"does differ", []Fact{{Name: "a", Value: "1", MustDiffer: true}}, []Fact{{Name: "a", Value: "2"}}, nil},
		{"all named", []Fact{{Name: "a", Value: "1", MustEqual: true}, {Name: "b", Value: "x", MustEqual: true}},
			[]Fact{{Name: "b", Value: "y", MustEqual: true}, {Name: "a", Value: "2", MustEqual: true}}, []string{"a=1/2", "b=x/y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := &hello{facts: c.ours, heartbeat: 1}, &hello{facts: c.theirs, heartbeat: 1}
			var got, mirrored []string
			for _, d := range compare(ours, theirs, time.Second) {
				got = append(got, d.Name+"="+d.Ours+"/"+d.Theirs)
			}
			for _, d := range compare(theirs, ours, time.Second) {
				mirrored = append(mirrored, d.Name+"="+d.Theirs+"/"+d.Ours)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if len(mirrored) != len(got) {
				t.Errorf("the other side sees %v, this one %v", mirrored, got)
			}
		})
	}
}

func TestExcerptsShowWhereLongValuesDiffer(t *testing.T) {
	long := strings.Repeat("a", 5000)
	a, b := excerpts(long+"X"+long, long+"Y"+long)
	wantWords(t, "ours", a, `aX`, "10001 bytes, differing at byte 5000")
	wantWords(t, "theirs", b, `aY`)
	if len(a) > 300 {
		t.Errorf("an excerpt of %d bytes", len(a))
	}
}

// TestRing runs random traffic against a queue that is obviously right. It also shows that what the window admits always fits.
func TestRing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	type frame struct {
		fill  byte
		n     int
		order uint64
	}
	for _, largest := range []int{40, 5000, MaxPayload} {
		r := newRing(minWindow)
		var model []frame
		var used int
		for i := range 20000 {
			if rnd.IntN(2) == 0 {
				n := rnd.IntN(largest + 1)
				slot, ok := r.reserve(n)
				if fits := used+cost(n) <= minWindow; ok != fits {
					t.Fatalf("frame of %d with %d used: ok is %v", n, used, ok)
				}
				if !ok {
					continue
				}
				f := frame{byte(i), n, uint64(i)}
				if n > 0 {
					slot[0], slot[n-1] = f.fill, f.fill
				}
				r.commit(f.order)
				model = append(model, f)
				used += cost(n)
				continue
			}
			p, order, ok := r.oldest()
			if ok != (len(model) > 0) {
				t.Fatalf("a frame: %v, the model has %d", ok, len(model))
			}
			if !ok {
				continue
			}
			f := model[0]
			model = model[1:]
			if len(p) != f.n || order != f.order || f.n > 0 && (p[0] != f.fill || p[f.n-1] != f.fill) {
				t.Fatalf("got %d bytes of order %d, want %+v", len(p), order, f)
			}
			if c := r.release(); c != cost(f.n) {
				t.Fatalf("released %d, want %d", c, cost(f.n))
			}
			used -= cost(f.n)
		}
	}
	if _, ok := newRing(minWindow).reserve(MaxPayload + 1); ok {
		t.Error("a frame above the limit was taken")
	}
}
