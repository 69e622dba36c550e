package report

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/monmod/monmod/internal/abi"
	"golang.org/x/sys/unix"
)

// Decoder knows the system calls by their canonical number. ArgName and ArgKind are asked for arguments 0 to 5; the kinds
// are the words of the argument language of internal/syscalls (fd, dirfd, path, in, addrin …).
type Decoder interface {
	Name(nr uint16) string
	ArgName(nr uint16, arg int) string
	ArgKind(nr uint16, arg int) string
}

// Kinds of a Call.
const (
	KindCall   = "call"
	KindFault  = "fault"
	KindSignal = "signal"
	KindResult = "result" // of a call whose arguments are not known
	KindData   = "data"
)

// Call is one record for people and programs: a system call, or a fault or signal that stands in the stream as calls do.
type Call struct {
	Kind   string  `json:"kind"`
	Name   string  `json:"name"` // of the call, or of the signal: SIGSEGV
	Number uint16  `json:"number"`
	Seq    uint64  `json:"seq"`
	Lane   uint32  `json:"lane"`
	Exempt bool    `json:"exempt,omitempty"` // values were not compared, the leader did not wait
	Args   []Arg   `json:"args,omitempty"`
	Result *Result `json:"result,omitempty"`
}

// Arg is one compared argument.
type Arg struct {
	Index   int    `json:"index"` // 0 to 5; 6: the place of a fault
	Name    string `json:"name"`
	Kind    string `json:"kind,omitempty"` // what it means: fd, path, flags …
	Form    string `json:"form"`           // how it was compared: value, bytes, digest, null, unreadable, pointer
	Text    string `json:"text"`           // printable
	Value   *Hex   `json:"value,omitempty"`
	Raw     []byte `json:"raw,omitempty"`    // the bytes, or of long ones the first (base64)
	Digest  string `json:"digest,omitempty"` // hexadecimal
	Total   uint32 `json:"total,omitempty"`  // bytes in the program's memory
	Differs bool   `json:"differs,omitempty"`
}

// Result is what a call returned.
type Result struct {
	Value int64  `json:"value"`
	Text  string `json:"text"`                 // the number, or the error's name
	Own   string `json:"own_digest,omitempty"` // of what each variant read from a file of its own
}

// DecodeCall decodes one record (struct mm_rec and its form), as it lies in a verdict slot. With an error the Call still
// holds the arguments before the place that made no sense.
func DecodeCall(d Decoder, b []byte) (Call, error) {
	rec, rest, err := abi.ParseRecord(b)
	if err != nil {
		return Call{}, fmt.Errorf("decoding a call: %w", err)
	}
	if len(rest) > 0 {
		return Call{}, fmt.Errorf("decoding a call: %d bytes behind the record", len(rest))
	}
	call, err := decodeRecord(d, rec)
	if err != nil {
		return call, fmt.Errorf("decoding a call: %w", err)
	}
	return call, nil
}

var recKinds = map[uint8]string{
	abi.RecCall: KindCall, abi.RecResult: KindResult, abi.RecData: KindData, abi.RecSignal: KindSignal, abi.RecFault: KindFault,
}

func decodeRecord(d Decoder, rec abi.Record) (Call, error) {
	h := rec.Head
	c := Call{Kind: recKinds[h.Kind], Number: h.Nr, Seq: h.Seq, Lane: h.Lane}
	c.Exempt = c.Kind == KindCall && h.Flags&abi.RfExempt != 0
	if c.isSystemCall() {
		c.Name = d.Name(h.Nr)
	} else {
		c.Name = signalName(uint64(h.Nr))
	}
	for form := rec.Form; len(form) > 0; {
		it, rest, err := takeItem(form)
		if err != nil {
			return c, fmt.Errorf("%s: %w", c.Name, err)
		}
		arg := Arg{Index: int(it.Arg), Name: fmt.Sprintf("arg%d", it.Arg)}
		switch {
		case c.isSystemCall() && it.Arg < faultPlace:
			arg.Name, arg.Kind = d.ArgName(h.Nr, arg.Index), d.ArgKind(h.Nr, arg.Index)
		case it.Arg == faultPlace:
			arg.Name = "place"
		}
		arg.fill(c.Name, it)
		c.Args = append(c.Args, arg)
		form = rest
	}
	if c.Kind == KindResult {
		var result abi.Result
		if _, err := abi.Decode(rec.Rest, &result); err != nil {
			return c, fmt.Errorf("the result of %s: %w", c.Name, err)
		}
		c.Result = resultOf(&result)
	}
	return c, nil
}

func (c *Call) isSystemCall() bool { return c.Kind != KindFault && c.Kind != KindSignal }

func resultOf(result *abi.Result) *Result {
	r := &Result{Value: result.Ret, Text: resultText(result.Ret)}
	if result.Digest != [digestBytes]uint8{} {
		r.Own = hex.EncodeToString(result.Digest[:])
	}
	return r
}

// resultText shows what a call gave: an error by its name.
func resultText(v int64) string {
	switch {
	case v < 0 && v >= -4095 && unix.ErrnoName(unix.Errno(-v)) != "":
		return unix.ErrnoName(unix.Errno(-v))
	case v > 1<<40 || v < -4095:
		return Hex(v).String()
	}
	return fmt.Sprint(v)
}

// sameCall says whether two records are of one call of one variant.
func (c *Call) sameCall(other *Call) bool {
	return c.Kind == KindCall && other.Seq == c.Seq && other.Lane == c.Lane && other.Number == c.Number
}

// String gives the call on one line: read(fd 3, pointer, 4096) = 12.
func (c *Call) String() string {
	return strings.Join(c.parts(), "")
}

// parts gives the pieces of String: head, one per argument with what joins it to the next, tail.
func (c *Call) parts() []string {
	if !c.isSystemCall() {
		text := c.Name
		for _, a := range c.Args {
			switch {
			case a.Index == faultPlace:
				text += " at " + placeText(a)
			case a.Index == 0 && c.Kind == KindFault:
				text += " (" + faultCode(c.Name, a) + ")"
			default:
				text += ", " + a.Name + " " + a.Text
			}
		}
		return []string{text}
	}
	if c.Kind == KindResult && len(c.Args) == 0 {
		return []string{c.Name + "(" + ellipsis + ")" + c.tail()}
	}
	parts := []string{c.Name + "("}
	for i, a := range c.Args {
		text := a.Text
		if i+1 < len(c.Args) {
			text += ", "
		}
		parts = append(parts, text)
	}
	return append(parts, ")"+c.tail())
}

func (c *Call) tail() string {
	if c.Result == nil {
		return ""
	}
	return " = " + c.Result.Text
}
