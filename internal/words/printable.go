package words

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Printable is a text on one line of which nothing acts on a terminal: what cannot be printed is written as an escape.
func Printable(text string) string {
	if !strings.ContainsFunc(text, unprintable) {
		return text
	}
	var s strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&s, `\x%02x`, text[0])
		case strconv.IsPrint(r):
			s.WriteString(text[:n])
		default:
			s.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		text = text[n:]
	}
	return s.String()
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) || r == utf8.RuneError }

// Message is Printable for a message that may have several lines. All but the first are set in, so that no name with a line
// feed in it looks like a message of its own.
func Message(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n  ")
}
