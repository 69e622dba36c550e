package report

import (
	"strings"
	"unicode/utf8"

	"github.com/monmod/monmod/internal/words"
)

const ellipsis = "…"

// quote gives bytes as a C-like string, all ASCII, so that neither a terminal nor a JSON reader can be led astray.
func quote(b []byte) string {
	var s strings.Builder
	s.WriteByte('"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c == '\n':
			s.WriteString(`\n`)
		case c == '\r':
			s.WriteString(`\r`)
		case c == '\t':
			s.WriteString(`\t`)
		case c >= 0x20 && c < 0x7f:
			s.WriteByte(c)
		default:
			s.WriteString(`\x`)
			s.WriteByte("0123456789abcdef"[c>>4])
			s.WriteByte("0123456789abcdef"[c&15])
		}
	}
	s.WriteByte('"')
	return s.String()
}

// clean makes text of any origin fit for a terminal: what cannot be printed (escape sequences, control characters, marks
// that reverse the writing direction, bytes that are no UTF-8) is shown as an escape.
func clean(text string) string { return words.Printable(text) }

// short gives text that is printable and of at most maxText bytes.
func short(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	if text = clean(text); len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText-len(ellipsis)], "") + ellipsis
	}
	return text
}

// clip shortens text to n columns; runes count as one.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(n-1, 0)]) + ellipsis
}
