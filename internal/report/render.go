package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/monmod/monmod/internal/words"
)

const (
	defaultWidth = 80
	leastWidth   = 40
	beforeShown  = 8  // calls before the diverging one, and
	framesShown  = 12 // frames of a backtrace: the JSON form has all
	eventsShown  = 8
)

// Render writes the text form: what an operator reads first stands first. width is in columns, 0 for 80; colour marks with
// terminal attributes beside the plain marks.
func Render(w io.Writer, r *Report, width int, colour bool) error {
	if width <= 0 {
		width = defaultWidth
	}
	whole := *r.bound()
	whole.Conclude()
	p := &printer{width: max(width, leastWidth), colour: colour}
	p.report(&whole)
	_, err := io.WriteString(w, p.out.String())
	return err
}

// RenderEvent gives an event as one line without its end.
func RenderEvent(e *Event) string {
	text := clean(e.Text)
	if e.Variant != 0 {
		text = words.Of(e.Variant, text)
	}
	return fmt.Sprintf("%s %s: %s", e.Time.UTC().Format(time.RFC3339), clean(e.Kind), text)
}

func (p *printer) report(r *Report) {
	p.wrapped(bold, r.Headline)
	p.wrapped(plain, r.done())
	if r.Detail != "" {
		p.wrapped(plain, upper(strings.TrimSuffix(r.Detail, "."))+".")
	}
	p.gap()
	p.calls(r)
	p.backtraces(r)
	p.before(r)
	p.events(r.Events)
	p.context(r)
}

// calls shows the two calls one above the other, what differs marked below each.
func (p *printer) calls(r *Report) {
	names := []string{r.label(&r.Leader), r.label(&r.Other)}
	sides := []*Side{&r.Leader, &r.Other}
	indent := 4 + max(len(names[0]), len(names[1]))
	shown := 0
	for i, s := range sides {
		if s.Variant == 0 || s.Call == nil && !r.expects() {
			continue
		}
		shown++
		head := fmt.Sprintf("  %-*s  ", indent-4, names[i])
		if s.Call == nil {
			p.line(plain, head+r.absent(s))
			continue
		}
		p.call(head, indent, s.Call)
	}
	p.differs(r)
	if shown > 0 {
		p.gap()
	}
}

// expects says whether a side without a call is worth a line: where the other one has a call to hold against it.
func (r *Report) expects() bool { return r.Leader.Call != nil || r.Other.Call != nil }

func (r *Report) label(s *Side) string {
	if s.Variant == 0 {
		return ""
	}
	return r.who(s.Variant)
}

func (r *Report) absent(s *Side) string {
	switch {
	case r.Reason == Late && s.Variant == r.Variant:
		return "(did not arrive)"
	case s.Missing != "":
		return "(" + clean(s.Missing) + ")"
	}
	return "(not known)"
}

func (p *printer) differs(r *Report) {
	d := r.Difference
	if d == nil {
		return
	}
	other := r.who(r.Other.Variant)
	switch {
	case d.Unheld:
		p.wrapped(plain, "  what is held of "+d.Name+" is equal: the digests differ further on")
	case d.Byte >= 0 && d.Leader == "" && d.Other == "":
		p.wrapped(plain, fmt.Sprintf("  %s differs from byte %d on", d.Name, d.Byte))
	case d.Byte >= 0:
		p.wrapped(plain, fmt.Sprintf("  %s differs from byte %d on: the leader %s, %s %s", d.Name, d.Byte, d.Leader, other, d.Other))
	case d.Kind == "arguments" || d.Kind == "result":
		p.wrapped(plain, fmt.Sprintf("  %s: the leader %s, %s %s", d.Kind, d.Leader, other, d.Other))
	}
}

func (p *printer) backtraces(r *Report) {
	for _, s := range []*Side{&r.Leader, &r.Other} {
		if s.Variant == 0 {
			continue
		}
		p.registers(r, s)
		if len(s.Backtrace) == 0 {
			if s.Missing != "" && s.Call != nil {
				p.wrapped(plain, fmt.Sprintf("no backtrace of %s: %s", r.who(s.Variant), s.Missing))
				p.gap()
			}
			continue
		}
		p.title("backtrace of " + r.who(s.Variant))
		for i, f := range s.Backtrace[:min(framesShown, len(s.Backtrace))] {
			p.line(plain, fmt.Sprintf("  %2d  %s", i, f.String()))
		}
		p.more(len(s.Backtrace)-framesShown, "frames")
		p.gap()
	}
}

// registers shows where a side stood, first where in the program and on its stack. A redacted report has nothing else.
func (p *printer) registers(r *Report, s *Side) {
	g := s.Registers
	if g == nil || *g == (Registers{}) {
		return
	}
	p.title("registers of " + r.who(s.Variant))
	text := fmt.Sprintf("  rip=%s rsp=%s rbp=%s", g.RIP, g.RSP, g.RBP)
	for _, reg := range g.named() {
		if !r.Redacted && reg.name != "rip" && reg.name != "rsp" && reg.name != "rbp" {
			text += fmt.Sprintf(" %s=%s", reg.name, *reg.value)
		}
	}
	p.wrapped(plain, text)
	p.gap()
}

// before shows the last calls once when both sides made the same, which is the rule.
func (p *printer) before(r *Report) {
	a, b := r.Leader.Before, r.Other.Before
	switch {
	case len(a) > 0 && len(b) > 0 && sameEnd(a, b):
		p.history("last calls before it, the same on both sides", a)
	default:
		for _, s := range []*Side{&r.Leader, &r.Other} {
			p.history("last calls of "+r.who(s.Variant)+" before it", s.Before)
		}
	}
}

func (p *printer) history(title string, calls []Call) {
	if len(calls) == 0 {
		return
	}
	p.title(title)
	p.more(len(calls)-beforeShown, "earlier ones")
	for _, c := range calls[max(0, len(calls)-beforeShown):] {
		p.line(plain, fmt.Sprintf("  %6d  %s", c.Seq, c.String()))
	}
	p.gap()
}

// sameEnd compares what would be shown.
func sameEnd(a, b []Call) bool {
	n := min(len(a), len(b), beforeShown)
	for i := 1; i <= n; i++ {
		x, y := a[len(a)-i], b[len(b)-i]
		if x.Seq != y.Seq || x.String() != y.String() {
			return false
		}
	}
	return n == beforeShown || len(a) == len(b)
}

func (p *printer) events(events []Event) {
	if len(events) == 0 {
		return
	}
	p.title("events before it")
	p.more(len(events)-eventsShown, "earlier ones")
	for _, e := range events[max(0, len(events)-eventsShown):] {
		p.line(plain, "  "+RenderEvent(&e))
	}
	p.gap()
}

func (p *printer) context(r *Report) {
	p.title("variants")
	for _, v := range r.Variants {
		text := fmt.Sprintf("  %d %s on %s", v.ID, orUnknown(v.Role), orUnknown(v.Host))
		if v.PID != 0 {
			text += fmt.Sprintf(", pid %d", v.PID)
		}
		if v.Ended != "" {
			text += ": " + v.Ended
		}
		if v.Bases.Program != 0 {
			text += fmt.Sprintf("; program at %s", v.Bases.Program)
		}
		p.wrapped(plain, text)
	}
	p.gap()
	for _, row := range [][2]string{
		{"program", strings.TrimSpace(r.Program + " " + arguments(r.Args))},
		{"group", fmt.Sprintf("%s, policy %s, backend %s, on_divergence %s", r.Group, orUnknown(r.Policy), orUnknown(r.Backend), orUnknown(r.OnDivergence))},
		{"time", r.Time.UTC().Format("2006-01-02 15:04:05.000 UTC")},
		{"monmod", fmt.Sprintf("%s on Linux %s", orUnknown(r.MonmodVersion), orUnknown(r.Kernel))},
	} {
		p.line(plain, fmt.Sprintf("%-8s  %s", row[0], row[1]))
	}
}

// arguments are those behind the program's name, as a shell would need them.
func arguments(args []string) string {
	var all []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \"'") {
			a = quote([]byte(a))
		}
		all = append(all, a)
	}
	return strings.Join(all, " ")
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func (p *printer) more(n int, what string) {
	if n > 0 {
		p.line(plain, fmt.Sprintf("  %6s  %d %s in the JSON form", ellipsis, n, what))
	}
}

// call writes one call, broken between arguments where it is too long, carets below what differs.
func (p *printer) call(head string, indent int, c *Call) {
	parts := c.parts()
	room := p.width - indent
	line := &markedLine{text: head, column: utf8.RuneCountInString(head)}
	start := line.column
	for i, part := range parts {
		marked := len(parts) > 1 && i > 0 && i <= len(c.Args) && c.Args[i-1].Differs
		if !c.isSystemCall() {
			marked = c.anyDiffers()
		}
		part = clip(clean(part), room)
		n := utf8.RuneCountInString(part)
		if line.column+n > p.width && line.column > start {
			p.marked(line)
			line = &markedLine{text: strings.Repeat(" ", start), column: start}
		}
		if marked {
			body := strings.TrimSuffix(part, ", ")
			line.from, line.to = line.column, line.column+utf8.RuneCountInString(body)
		}
		line.text += part
		line.column += n
	}
	p.marked(line)
}

func (c *Call) anyDiffers() bool {
	for i := range c.Args {
		if c.Args[i].Differs {
			return true
		}
	}
	return false
}
