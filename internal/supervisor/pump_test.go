package supervisor

import (
	"encoding/binary"
	"testing"

	"github.com/monmod/monmod/internal/abi"
)

// pumped is a session with nothing but an arena, for what pumps write into it.
func pumped(t *testing.T, m mirrors) *session {
	t.Helper()
	a, err := newArena(1, abi.RingMin, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return &session{arena: a}
}

func TestPumpTakesNothingImpossible(t *testing.T) {
	le := binary.LittleEndian
	stream := func(at, end uint64, n int) []byte {
		return append(le.AppendUint64(le.AppendUint64(nil, at), end), make([]byte, n)...)
	}
	s := pumped(t, mirrors{stream: true})
	var arrived uint64
	for _, c := range []struct {
		name string
		in   []byte
		ok   bool
		head uint64 // as the follower sees it afterwards
	}{
		{"empty", nil, false, 0}, {"no data", stream(0, 0, 0), false, 0}, {"not of 8", stream(0, 12, 12), false, 0},
		{"elsewhere", stream(8, 16, 8), false, 0}, {"first", stream(0, 64, 64), true, 64}, {"again", stream(0, 64, 64), false, 64},
		{"a part", stream(64, 1024, 64), true, 64}, {"and the rest", stream(128, 1024, 896), true, 1024},
		{"to the brim", stream(1024, abi.RingMin, abi.RingMin-1024), true, abi.RingMin},
		{"over", stream(abi.RingMin, abi.RingMin+8, 8), false, abi.RingMin},
	} {
		err := s.takeStream(0, &arrived, c.in)
		if head := s.arena.head(); (err == nil) != c.ok || head != c.head {
			t.Errorf("stream: %s: %v, published up to %d", c.name, err, head)
		}
	}
	s, arrived = pumped(t, mirrors{stream: true}), 0
	if err := s.takeStream(0, &arrived, stream(0, 8, 64)); err == nil || s.arena.head() != 0 {
		t.Errorf("more than was published was taken: %v, published up to %d", err, s.arena.head())
	}
	m := mirrors{}
	m.index[0] = true
	s = pumped(t, m)
	index := func(tail, compared, done uint64, verdict, length uint32, form int) []byte {
		b := le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, tail), compared), done)
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 1), verdict), length), 0)
		return append(le.AppendUint64(b, 5), make([]byte, form)...)
	}
	for _, c := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"empty", nil, false}, {"ahead", index(8, 0, 0, 0, 0, 0), false}, {"first", index(0, 3, 2, 0, 0, 0), true},
		{"back", index(0, 2, 2, 0, 0, 0), false}, {"unknown verdict", index(0, 3, 2, 7, 0, 0), false},
		{"verdict longer than said", index(0, 3, 2, 1, 8, 16), false}, {"too long", index(0, 3, 2, 1, abi.VerdictBytes+8, abi.VerdictBytes+8), false},
		{"verdict", index(0, 3, 2, 1, 16, 16), true},
	} {
		if err := s.takeIndex(&remote{}, c.in); (err == nil) != c.ok {
			t.Errorf("index: %s: %v", c.name, err)
		}
	}
	if p := s.arena.indexPage(0); p.Compared != 3 || p.Done != 2 || p.Verdict != 1 || p.VerdictLen != 16 || p.VerdictSeq != 5 {
		t.Errorf("index page: compared %d, done %d, verdict %d of %d bytes at %d", p.Compared, p.Done, p.Verdict, p.VerdictLen, p.VerdictSeq)
	}
}
