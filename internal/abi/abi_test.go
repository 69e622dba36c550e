package abi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

func TestGeneratedFileIsOfTheseHeaders(t *testing.T) {
	out, err := exec.Command("go", "run", "./generate", "-headers", "../../include", "-out", "-").Output()
	if err != nil {
		t.Fatalf("generate: %v", err)
	}
	have, err := os.ReadFile("zz_generated_abi.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, out) {
		t.Fatal("zz_generated_abi.go is not what the headers give: run `make generate`")
	}
}

// The arena is read through pointers to these structures, messages through encoding/binary: both must see one layout.
func TestMemoryLayoutIsWireLayout(t *testing.T) {
	for name, size := range map[string][2]int{
		"Control": {int(unsafe.Sizeof(Control{})), binary.Size(Control{})},
		"Stream":  {int(unsafe.Sizeof(Stream{})), binary.Size(Stream{})},
		"Index":   {int(unsafe.Sizeof(Index{})), binary.Size(Index{})},
		"Rec":     {int(unsafe.Sizeof(Rec{})), binary.Size(Rec{})},
		"Start":   {int(unsafe.Sizeof(Start{})), binary.Size(Start{})},
		"Case":    {int(unsafe.Sizeof(Case{})), binary.Size(Case{})},
	} {
		if size[0] != size[1] {
			t.Errorf("%s is %d bytes in memory and %d on the wire", name, size[0], size[1])
		}
	}
	if got := binary.Size(Msg{}); got != msgHeader {
		t.Errorf("message header is %d bytes, not %d", got, msgHeader)
	}
	if got := binary.Size(Rec{}); got != recHeader {
		t.Errorf("record header is %d bytes, not %d", got, recHeader)
	}
	if got := binary.Size(Case{}); got != caseHeader {
		t.Errorf("case is %d bytes, not %d", got, caseHeader)
	}
}

func TestMessage(t *testing.T) {
	good, err := AppendMessage(nil, MsgEvent, []byte("a word"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := ParseMessage(good); err != nil || m.Type != MsgEvent || string(m.Body) != "a word" {
		t.Fatalf("got %v %q, %v", m.Type, m.Body, err)
	}
	edit := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "bytes end"},
		{"half a header", good[:9], "bytes end"},
		{"magic", edit(0, 0), "magic"},
		{"version", edit(4, 9), "version 9"},
		{"length too long", edit(8, 200), "claims a body of 200"},
		{"length huge", edit(11, 255), "claims a body"},
		{"padding", edit(13, 1), "padding"},
		{"more than the body", append(bytes.Clone(good), 0), "claims a body"},
	} {
		if _, err := ParseMessage(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := AppendMessage(nil, MsgEvent, make([]byte, MsgBody+1)); err == nil {
		t.Error("a body over the limit was taken")
	}
	if MessageName(MsgFatal) != "FATAL" || MessageName(99) != "type 99" || MessageName(0) != "type 0" {
		t.Error("names of message types")
	}
}

func TestSections(t *testing.T) {
	b := AppendSection(nil, SecCwd, []byte("/tmp"))
	b = AppendSection(b, SecArgv, JoinStrings([]string{"a", "", "b c"}))
	b = AppendSection(b, SecGroups, nil)
	b = AppendEnd(b)
	s, err := ParseSections(b)
	if err != nil {
		t.Fatal(err)
	}
	argv, err := SplitStrings(s[SecArgv])
	if err != nil || strings.Join(argv, "|") != "a||b c" || string(s[SecCwd]) != "/tmp" || len(s) != 3 {
		t.Fatalf("got %q, %q, %v", argv, s[SecCwd], err)
	}
	over := Append(nil, Section{Tag: SecCwd, Bytes: 0xffffffff})
	twice := AppendEnd(AppendSection(AppendSection(nil, SecCwd, nil), SecCwd, nil))
	for name, in := range map[string][]byte{"no end": b[:len(b)-8], "over the end": over, "twice": twice, "empty": nil, "cut": b[:12]} {
		if _, err := ParseSections(in); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := SplitStrings([]byte("no nul")); !errors.Is(err, ErrTruncated) {
		t.Errorf("string without NUL: %v", err)
	}
	if _, err := DecodeAll[FdEntry](make([]byte, 17)); !errors.Is(err, ErrTruncated) {
		t.Errorf("17 bytes of descriptors: %v", err)
	}
	if l, err := DecodeAll[FdEntry](Append(nil, []FdEntry{{Fd: 3}, {Fd: 7, Klass: FdLeader}})); err != nil || len(l) != 2 || l[1].Klass != FdLeader {
		t.Errorf("two descriptors: %v, %v", l, err)
	}
}

func record(kind uint8, form, size int) []byte {
	b := Append(nil, Rec{Size: uint32(size), Kind: kind, Form: uint16(form), Seq: 4})
	return append(b, make([]byte, max(0, size-recHeader))...)
}

func TestCase(t *testing.T) {
	body := append(Append(nil, Case{Seq: 9, Records: 2}), append(record(RecCall, 8, 40), record(RecFault, 0, 32)...)...)
	c, records, err := ParseCase(body)
	if err != nil || c.Seq != 9 || len(records) != 2 || len(records[0].Form) != 8 || records[1].Head.Kind != RecFault {
		t.Fatalf("got %v %v, %v", c.Seq, records, err)
	}
	claim := func(n, frames uint32, rest []byte) []byte {
		return append(Append(nil, Case{Records: n, Frames: frames}), rest...)
	}
	for name, in := range map[string][]byte{
		"short":               body[:100],
		"more records":        claim(0xffffffff, 0, nil),
		"frames":              claim(0, Frames+1, nil),
		"bytes behind":        claim(0, 0, make([]byte, 8)),
		"record of size 0":    claim(1, 0, record(RecCall, 0, 0)),
		"record over its end": claim(1, 0, record(RecCall, 0, 64)[:40]),
		"record not of 8":     claim(1, 0, record(RecCall, 0, 33)),
		"form over record":    claim(1, 0, record(RecCall, 9, 40)),
		"form over limit":     claim(1, 0, record(RecCall, FormMax+1, 4096)),
		"unknown kind":        claim(1, 0, record(77, 0, 32)),
		"record over limit":   claim(1, 0, record(RecCall, 0, RecMax+8)),
	} {
		if _, _, err := ParseCase(in); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	msg, _ := AppendMessage(nil, MsgDiverged, append(Append(nil, Case{Records: 1}), record(RecCall, 8, 40)...))
	f.Add(msg)
	f.Add(AppendEnd(AppendSection(nil, SecArgv, JoinStrings([]string{"a"}))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParseMessage(b); err == nil {
			again, err := AppendMessage(nil, m.Type, m.Body)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("a message that parses does not give itself back: %v", err)
			}
			if c, records, err := ParseCase(m.Body); err == nil && len(records) != int(c.Records) {
				t.Fatalf("%d records of %d", len(records), c.Records)
			}
		}
		if s, err := ParseSections(b); err == nil {
			for _, body := range s {
				_, _ = SplitStrings(body)
				_, _ = DecodeAll[FdEntry](body)
			}
		}
	})
}
