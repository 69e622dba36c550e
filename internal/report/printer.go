package report

import (
	"strings"
	"unicode/utf8"
)

type style string

const (
	plain style = ""
	bold  style = "\x1b[1m"
	alarm style = "\x1b[1;31m"
	reset       = "\x1b[0m"
)

// printer writes lines of bounded width. All text passes clean, so that the only escape sequences are its own.
type printer struct {
	out    strings.Builder
	width  int
	colour bool
}

func (p *printer) styled(s style, text string) string {
	if !p.colour || s == plain || text == "" {
		return text
	}
	return string(s) + text + reset
}

// line writes one line, clipped.
func (p *printer) line(s style, text string) {
	p.out.WriteString(p.styled(s, strings.TrimRight(clip(clean(text), p.width), " ")))
	p.out.WriteByte('\n')
}

func (p *printer) title(text string) { p.line(bold, text) }

// gap ends a section.
func (p *printer) gap() { p.out.WriteByte('\n') }

// wrapped writes text over as many lines as it needs, broken between words, indented as its first line is.
func (p *printer) wrapped(s style, text string) {
	text = clean(text)
	indent := strings.Repeat(" ", len(text)-len(strings.TrimLeft(text, " ")))
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = indent + word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > p.width:
			p.line(s, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	if line != "" {
		p.line(s, line)
	}
}

// markedLine is a line of a call; columns from (inclusive) to (exclusive) differ.
type markedLine struct {
	text             string
	column, from, to int
}

func (p *printer) marked(l *markedLine) {
	runes := []rune(l.text)
	to := min(l.to, len(runes))
	if l.from >= to {
		p.out.WriteString(strings.TrimRight(l.text, " ") + "\n")
		return
	}
	p.out.WriteString(string(runes[:l.from]) + p.styled(alarm, string(runes[l.from:to])) + strings.TrimRight(string(runes[to:]), " ") + "\n")
	p.out.WriteString(strings.Repeat(" ", l.from) + p.styled(alarm, strings.Repeat("^", to-l.from)) + "\n")
}
