package report

import (
	"fmt"
	"testing"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/syscalls"
)

// What the library would send, built with the layouts of the headers.

func it(arg, kind uint8, total uint32, b []byte) []byte {
	out := abi.Append(nil, abi.Item{Arg: arg, Kind: kind, Bytes: uint16(len(b)), Total: total})
	out = append(out, b...)
	return append(out, make([]byte, -len(b)&7)...)
}

func value(arg uint8, v uint64) []byte { return it(arg, abi.ItemValue, 8, le.AppendUint64(nil, v)) }
func text(arg uint8, s string) []byte  { return it(arg, abi.ItemBytes, uint32(len(s)), []byte(s)) }
func pointer(arg uint8) []byte         { return it(arg, abi.ItemPtr, 0, nil) }

func digest(arg uint8, sum byte, total uint32, excerpt string) []byte {
	b := append([]byte{sum}, make([]byte, 15)...)
	return it(arg, abi.ItemDigest, total, append(b, excerpt...))
}

func rec(kind, flags uint8, nr uint16, seq uint64, rest []byte, items ...[]byte) []byte {
	var form []byte
	for _, i := range items {
		form = append(form, i...)
	}
	head := abi.Rec{Size: uint32(32 + len(form) + len(rest)), Kind: kind, Flags: flags, Nr: nr, Seq: seq, Form: uint16(len(form))}
	return append(append(abi.Append(nil, head), form...), rest...)
}

func number(t testing.TB, name string) uint16 {
	t.Helper()
	nr, ok := syscalls.ByName(name)
	if !ok {
		t.Fatalf("the table has no %s", name)
	}
	return nr
}

func called(t testing.TB, name string, seq uint64, items ...[]byte) []byte {
	return rec(abi.RecCall, 0, number(t, name), seq, nil, items...)
}

func gave(t testing.TB, name string, seq uint64, ret int64) []byte {
	return rec(abi.RecResult, 0, number(t, name), seq, abi.Append(nil, abi.Result{Ret: ret}))
}

func kase(reason uint32, seq uint64, frames []uint64, records ...[]byte) []byte {
	c := abi.Case{Seq: seq, Records: uint32(len(records)), Reason: reason, Frames: uint32(len(frames))}
	for i := range c.Regs {
		c.Regs[i] = uint64(0x1000 + i)
	}
	copy(c.Frame[:], frames)
	out := abi.Append(nil, c)
	for _, r := range records {
		out = append(out, r...)
	}
	return out
}

func decoded(t testing.TB, b []byte) *Call {
	t.Helper()
	c, err := DecodeCall(Syscalls, b)
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// fake is a Decoder of two calls, to see that decoding asks it and nothing else.
type fake struct{}

func (fake) Name(nr uint16) string { return fmt.Sprintf("fake%d", nr) }
func (fake) ArgName(_ uint16, arg int) string {
	return [...]string{"where", "what", "c", "d", "e", "f"}[arg]
}
func (fake) ArgKind(nr uint16, arg int) string {
	return [...]string{"fd", "path", "addrin", "int", "u64", "sigset"}[arg]
}
