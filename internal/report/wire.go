package report

import (
	"errors"
	"fmt"

	"github.com/monmod/monmod/internal/abi"
)

const (
	digestBytes = 16
	faultPlace  = 6   // the item of a FAULT that says where
	maxCase     = 128 // records of one message that are looked at; the library keeps 64
)

// item is a struct mm_item whose sizes have been checked, and its bytes.
type item struct {
	abi.Item
	bytes []byte
}

// itemSizes are the bytes that an item of a kind can have.
var itemSizes = map[uint8]struct{ least, most int }{
	abi.ItemValue:  {8, 8},
	abi.ItemBytes:  {0, abi.InlineMax},
	abi.ItemDigest: {digestBytes, digestBytes + abi.Excerpt},
	abi.ItemNull:   {0, 0},
	abi.ItemFault:  {8, 8},
	abi.ItemPtr:    {0, 0},
}

// takeItem parses the item at the start of a form and returns what follows it.
func takeItem(form []byte) (item, []byte, error) {
	var it item
	rest, err := abi.Decode(form, &it.Item)
	if err != nil {
		return item{}, nil, fmt.Errorf("the head of an argument: %w", err)
	}
	n := int(it.Bytes)
	padded := (n + 7) &^ 7
	sizes, known := itemSizes[it.Kind]
	switch {
	case it.Arg > faultPlace:
		return item{}, nil, fmt.Errorf("an argument numbered %d: there are six", it.Arg+1)
	case !known:
		return item{}, nil, fmt.Errorf("argument %d is of the unknown kind %d", it.Arg+1, it.Kind)
	case n < sizes.least || n > sizes.most:
		return item{}, nil, fmt.Errorf("argument %d of kind %d has %d bytes: %d to %d are possible", it.Arg+1, it.Kind, n, sizes.least, sizes.most)
	case padded > len(rest):
		return item{}, nil, fmt.Errorf("argument %d has %d bytes of which %d are there", it.Arg+1, n, len(rest))
	}
	it.bytes = rest[:n]
	return it, rest[padded:], nil
}

// Case is a decoded struct mm_msg_case with its records.
type Case struct {
	Seq       uint64
	Lane      uint32
	Reason    Reason // empty in a trace
	Registers Registers
	Frames    []uint64 // return addresses, innermost first
	Calls     []Call   // DIVERGED, AUDIT: the follower's, the leader's; TRACE: oldest first
}

// caseReasons translates enum mm_reason.
var caseReasons = map[uint32]Reason{
	abi.WhyNone: "", abi.WhyNumber: OtherCall, abi.WhyForm: OtherArgument, abi.WhyKind: OtherKind, abi.WhyResult: OtherResult,
	abi.WhyData: OtherData, abi.WhyTaken: Taken, abi.WhyCode: OtherCode, abi.WhyStream: BadStream,
}

// DecodeCase decodes the body of a DIVERGED, AUDIT or TRACE message. With an error the Case still holds what came before
// the place that made no sense, so that a report loses as little as possible.
func DecodeCase(d Decoder, body []byte) (Case, error) {
	c, err := decodeCase(d, body)
	if err != nil {
		return c, fmt.Errorf("decoding what a variant said of its call: %w", err)
	}
	return c, nil
}

func decodeCase(d Decoder, body []byte) (Case, error) {
	var head abi.Case
	rest, err := abi.Decode(body, &head)
	if err != nil {
		return Case{}, err
	}
	c := Case{Seq: head.Seq, Lane: head.Lane, Registers: registersOf(&head.Regs)}
	var errs []error // these leave the records readable
	if reason, known := caseReasons[head.Reason]; known {
		c.Reason = reason
	} else {
		errs = append(errs, fmt.Errorf("unknown reason %d", head.Reason))
	}
	if head.Frames > abi.Frames {
		errs = append(errs, fmt.Errorf("%d return addresses, there is room for %d", head.Frames, abi.Frames))
	}
	c.Frames = append(c.Frames, head.Frame[:min(head.Frames, abi.Frames)]...)
	if head.Records > maxCase {
		return c, errors.Join(append(errs, fmt.Errorf("%d records, at most %d are expected", head.Records, maxCase))...)
	}
	for i := range head.Records {
		var rec abi.Record
		if rec, rest, err = abi.ParseRecord(rest); err != nil {
			return c, errors.Join(append(errs, fmt.Errorf("record %d of %d: %w", i+1, head.Records, err))...)
		}
		call, err := decodeRecord(d, rec)
		c.Calls = append(c.Calls, call)
		if err != nil {
			errs = append(errs, fmt.Errorf("record %d of %d: %w", i+1, head.Records, err))
		}
	}
	if len(rest) > 0 {
		errs = append(errs, fmt.Errorf("%d bytes behind its %d records", len(rest), head.Records))
	}
	return c, errors.Join(errs...)
}

// Trace gives the calls of a TRACE with each result put to its call.
func (c Case) Trace() []Call {
	var calls []Call
	for _, call := range c.Calls {
		if n := len(calls); n > 0 && call.Kind == KindResult && calls[n-1].sameCall(&call) && calls[n-1].Result == nil {
			calls[n-1].Result = call.Result
			continue
		}
		if call.Kind != KindData {
			calls = append(calls, call)
		}
	}
	return calls
}

// Registers are the general registers of a variant where it stood.
type Registers struct {
	RAX   Hex `json:"rax"`
	RBX   Hex `json:"rbx"`
	RCX   Hex `json:"rcx"`
	RDX   Hex `json:"rdx"`
	RSI   Hex `json:"rsi"`
	RDI   Hex `json:"rdi"`
	RBP   Hex `json:"rbp"`
	RSP   Hex `json:"rsp"`
	R8    Hex `json:"r8"`
	R9    Hex `json:"r9"`
	R10   Hex `json:"r10"`
	R11   Hex `json:"r11"`
	R12   Hex `json:"r12"`
	R13   Hex `json:"r13"`
	R14   Hex `json:"r14"`
	R15   Hex `json:"r15"`
	RIP   Hex `json:"rip"`
	Flags Hex `json:"flags"`
}

// register is one of Registers by name.
type register struct {
	name  string
	value *Hex
}

// named gives the registers in the order of struct mm_msg_case.
func (r *Registers) named() []register {
	return []register{
		{"rax", &r.RAX}, {"rbx", &r.RBX}, {"rcx", &r.RCX}, {"rdx", &r.RDX}, {"rsi", &r.RSI}, {"rdi", &r.RDI},
		{"rbp", &r.RBP}, {"rsp", &r.RSP}, {"r8", &r.R8}, {"r9", &r.R9}, {"r10", &r.R10}, {"r11", &r.R11},
		{"r12", &r.R12}, {"r13", &r.R13}, {"r14", &r.R14}, {"r15", &r.R15}, {"rip", &r.RIP}, {"flags", &r.Flags},
	}
}

func registersOf(values *[18]uint64) Registers {
	var r Registers
	for i, reg := range r.named() {
		*reg.value = Hex(values[i])
	}
	return r
}
