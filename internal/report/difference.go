package report

import (
	"bytes"
	"fmt"
)

// Difference is the first thing in which two calls are not the same.
type Difference struct {
	Kind     string `json:"kind"`               // call, argument, arguments (their number), result
	Argument int    `json:"argument"`           // index of the first differing argument; -1: none
	Name     string `json:"name,omitempty"`     // of that argument
	Byte     int    `json:"byte"`               // first differing byte of it as far as both are held; -1: not held, or no memory
	Leader   string `json:"leader,omitempty"`   // from there on, or the whole
	Other    string `json:"other,omitempty"`    // the same of the other side
	Unheld   bool   `json:"not_held,omitempty"` // all bytes that are held are equal: it lies further on
}

const windowBytes = 16 // shown from the first differing byte on

// Compare finds the first difference of two calls and marks the arguments concerned. It gives nil where there is none,
// or where a side is not known.
func Compare(leader, other *Call) *Difference {
	switch {
	case leader == nil || other == nil:
		return nil
	case leader.Kind != other.Kind || leader.Number != other.Number:
		return &Difference{Kind: "call", Argument: -1, Byte: -1, Leader: leader.Name, Other: other.Name}
	}
	for i := range min(len(leader.Args), len(other.Args)) {
		if a, b := &leader.Args[i], &other.Args[i]; !a.equal(b) {
			a.Differs, b.Differs = true, true
			return argumentDifference(a, b)
		}
	}
	if len(leader.Args) != len(other.Args) {
		return &Difference{Kind: "arguments", Argument: -1, Byte: -1,
			Leader: fmt.Sprintf("%d compared", len(leader.Args)), Other: fmt.Sprintf("%d compared", len(other.Args))}
	}
	if a, b := leader.Result, other.Result; a != nil && b != nil && *a != *b {
		d := &Difference{Kind: "result", Argument: -1, Byte: -1, Leader: a.Text, Other: b.Text}
		if a.Text == b.Text {
			d.Leader, d.Other = a.Text+" with other data", b.Text+" with other data"
		}
		return d
	}
	return nil
}

func (a *Arg) equal(b *Arg) bool {
	if a.Index != b.Index || a.Form != b.Form || a.Digest != b.Digest || a.Total != b.Total || !bytes.Equal(a.Raw, b.Raw) {
		return false
	}
	if a.Value == nil || b.Value == nil {
		return a.Value == b.Value && (a.Form != "unreadable" || a.Text == b.Text)
	}
	return *a.Value == *b.Value
}

func argumentDifference(a, b *Arg) *Difference {
	d := &Difference{Kind: "argument", Argument: a.Index, Name: a.Name, Byte: -1, Leader: a.Text, Other: b.Text}
	if !a.inMemory() || !b.inMemory() {
		return d
	}
	n := min(len(a.Raw), len(b.Raw))
	at := 0
	for at < n && a.Raw[at] == b.Raw[at] {
		at++
	}
	if at == n && a.Digest != "" && b.Digest != "" {
		d.Unheld = true
		return d
	}
	d.Byte, d.Leader, d.Other = at, window(a.Raw, at), window(b.Raw, at)
	return d
}

// inMemory says whether the argument is a stretch of memory.
func (a *Arg) inMemory() bool { return a.Form == "bytes" || a.Form == "digest" }

func window(raw []byte, at int) string {
	if at >= len(raw) {
		return "ends here"
	}
	text := quote(raw[at:min(len(raw), at+windowBytes)])
	if at+windowBytes < len(raw) {
		text += ellipsis
	}
	return text
}

// Conclude fills what follows from the rest: the difference and its marks, the effect and the headline, where the caller
// has not set them, and takes the diverging call itself out of the calls before it. Write does it too.
func (r *Report) Conclude() {
	r.Schema = Schema
	r.Leader.settle(r.Lane, r.Seq)
	r.Other.settle(r.Lane, r.Seq)
	if r.Difference == nil {
		r.Difference = Compare(r.Leader.Call, r.Other.Call)
	}
	if r.Effect == "" {
		r.Effect = r.effect()
	}
	if r.Headline == "" {
		r.Headline = r.headline()
	}
}

// settle makes the last known record of the diverging call the side's call, and the rest what came before it.
func (s *Side) settle(lane uint32, seq uint64) {
	for n := len(s.Before); n > 0; n = len(s.Before) {
		last := s.Before[n-1]
		if last.Lane != lane || last.Seq != seq {
			return
		}
		s.Before = s.Before[:n-1]
		switch {
		case s.Call == nil:
			s.Call = &last
		case s.Call.Kind == KindResult && len(s.Call.Args) == 0 && last.sameCall(s.Call):
			// A result travels without the arguments, which the record of the call has.
			whole := last
			whole.Result = s.Call.Result
			s.Call = &whole
		}
	}
}

// effect judges by the way of a call: before it is carried out its form is compared, after it its result.
func (r *Report) effect() Effect {
	switch r.Reason {
	case OtherResult, OtherData, Taken, OtherCode:
		return EffectDone
	case Ended, GaveUp, BadStream, Guarded:
		return EffectUnknown
	}
	if r.Leader.Call == nil && r.Variant != r.Leader.Variant {
		return EffectUnknown
	}
	if r.Policy == "commit" || r.Leader.Call != nil && r.Leader.Call.Exempt {
		return EffectUnknown
	}
	return EffectHeld
}
