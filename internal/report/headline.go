package report

import (
	"fmt"
	"strings"
)

// who names a variant by its part in the group.
func (r *Report) who(variant int) string {
	if variant == r.Leader.Variant {
		return "the leader"
	}
	return fmt.Sprintf("variant %d", variant)
}

// did says what a side did, as the rest of a sentence.
func (s *Side) did() string {
	c := s.Call
	switch {
	case c == nil:
		return "did something that is not known"
	case c.Kind == KindFault:
		return "faulted with " + c.Name
	case c.Kind == KindSignal:
		return "took the signal " + c.Name
	case c.Result != nil:
		return "got " + c.Result.Text + " from " + c.Name
	}
	return "called " + c.Name
}

// sides gives the one that diverged and the one that it is held against.
func (r *Report) sides() (diverged, against *Side) {
	if r.Variant == r.Leader.Variant {
		return &r.Leader, &r.Other
	}
	return &r.Other, &r.Leader
}

// headlines has a sentence per reason; what differs from the pattern of calls that are not the same.
var headlines = map[Reason]func(*Report) string{
	OtherArgument: func(r *Report) string {
		d := r.Difference
		if d == nil || d.Argument < 0 || r.Leader.Call == nil {
			return r.diverged("the same call with other arguments")
		}
		name := r.Leader.Call.Name
		if !r.Leader.Call.isSystemCall() {
			return r.diverged(fmt.Sprintf("both faulted with %s, at another %s", name, d.Name))
		}
		return r.diverged(fmt.Sprintf("both called %s, with another %s (argument %d)", name, d.Name, d.Argument+1))
	},
	OtherData: func(r *Report) string {
		return r.diverged(fmt.Sprintf("%s has other data there", subject(r.Subject, "a file")))
	},
	Taken: func(r *Report) string {
		return r.diverged(fmt.Sprintf("%s, which the leader's call gave, is already taken there",
			subject(r.Subject, "the descriptor", "descriptor ")))
	},
	OtherCode: func(r *Report) string {
		return r.diverged(fmt.Sprintf("the executable %s is not the leader's file there", subject(r.Subject, "it would map")))
	},
	BadStream: func(r *Report) string {
		return r.diverged("the stream between them makes no sense")
	},
	Late: func(r *Report) string {
		_, against := r.sides()
		text := fmt.Sprintf("%s did not arrive at %s", r.who(r.Variant), r.place())
		if against.Call != nil {
			text += fmt.Sprintf(": %s %s", r.who(against.Variant), against.did())
		}
		return text
	},
	Refused: func(r *Report) string {
		name := r.Subject
		if side, _ := r.sides(); name == "" && side.Call != nil {
			name = side.Call.Name
		}
		return fmt.Sprintf("%s called %s at %s, which monmod cannot run in this version", r.who(r.Variant), subject(name, "something"), r.place())
	},
	Ended: func(r *Report) string {
		return fmt.Sprintf("%s ended alone at %s", r.who(r.Variant), r.place())
	},
	Guarded: func(r *Report) string {
		return fmt.Sprintf("%s tried to get around its monitor and was killed by the kernel module", r.who(r.Variant))
	},
	GaveUp: func(r *Report) string {
		return fmt.Sprintf("the monitor of %s gave up at %s", r.who(r.Variant), r.place())
	},
}

// headline is the first sentence of the text form, without its full stop.
func (r *Report) headline() string {
	if sentence := headlines[r.Reason]; sentence != nil {
		return sentence(r)
	}
	return r.diverged(fmt.Sprintf("the leader %s, %s %s", r.Leader.did(), r.who(r.Other.Variant), r.Other.did()))
}

func (r *Report) diverged(how string) string {
	from := "the leader"
	if r.Variant == r.Leader.Variant {
		from = r.who(r.Other.Variant)
	}
	return fmt.Sprintf("%s diverged from %s at %s: %s", r.who(r.Variant), from, r.place(), how)
}

func (r *Report) place() string {
	if r.Seq == 0 {
		return fmt.Sprintf("the start of lane %d", r.Lane)
	}
	return fmt.Sprintf("call %d of lane %d", r.Seq, r.Lane)
}

// subject gives what the reason is about, or other words where it is not known.
func subject(name, unknown string, before ...string) string {
	if name == "" {
		return unknown
	}
	return strings.Join(before, "") + name
}

// done says in sentences what was done and what came of the call.
func (r *Report) done() string {
	var text string
	switch r.Response {
	case GroupEnded:
		text = fmt.Sprintf("The group was ended with exit code %d.", r.ExitCode)
	case VariantEnded:
		text = fmt.Sprintf("%s was ended; the others go on.", upper(r.who(r.Variant)))
	case Recorded:
		text = "It was recorded and the group goes on with what the leader did."
	}
	switch {
	case r.Effect == EffectHeld && r.Response != Recorded:
		text += " Nothing of this call left the machine: it had not been carried out yet."
	case r.Effect == EffectDone:
		text += " The leader had carried this call out: the difference is in what came of it."
	case r.Effect == EffectUnknown && r.Leader.Call != nil && r.Leader.Call.Exempt:
		text += fmt.Sprintf(" Policy %s exempts this call: the leader did not wait, so it may have had its effect.", clean(r.Policy))
	}
	return text
}

func upper(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
