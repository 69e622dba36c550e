package libconfig

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	end tokenKind = iota
	name
	str
	integer
	float
	boolean
	assign
	semicolon
	comma
	openBrace
	closeBrace
	openParen
	closeParen
	openBracket
	closeBracket
)

var tokenNames = [...]string{"the end of the file", "a name", "a string", "a number", "a number", "a boolean",
	"=", ";", ",", "{", "}", "(", ")", "[", "]"}

func (k tokenKind) String() string { return tokenNames[k] }

var punctuation = map[byte]tokenKind{'=': assign, ':': assign, ';': semicolon, ',': comma, '{': openBrace,
	'}': closeBrace, '(': openParen, ')': closeParen, '[': openBracket, ']': closeBracket}

type token struct {
	kind tokenKind
	line int
	text string
}

type scanner struct {
	data []byte
	pos  int
	line int
}

// scan returns the next token; at the end of the file, for ever `end`.
func (s *scanner) scan() (token, error) {
	if err := s.skip(); err != nil {
		return token{}, err
	}
	t := token{line: s.line}
	if s.pos == len(s.data) {
		return t, nil
	}
	c := s.data[s.pos]
	if kind, ok := punctuation[c]; ok {
		s.pos++
		t.kind = kind
		return t, nil
	}
	switch {
	case c == '"':
		text, err := s.quoted()
		t.kind, t.text = str, text
		return t, err
	case c == '@':
		return t, &Error{t.line, "@include is not accepted", "write the included settings into this file"}
	case isNameStart(c):
		word := s.take(isName)
		t.kind, t.text = name, word
		if lower := strings.ToLower(word); lower == "true" || lower == "false" {
			t.kind, t.text = boolean, lower
		}
		return t, nil
	case isDigit(c) || c == '-' || c == '+' || c == '.':
		return s.number(t)
	}
	r, _ := utf8.DecodeRune(s.data[s.pos:])
	return t, &Error{t.line, fmt.Sprintf("%q begins nothing", r), "put text in double quotes"}
}

// skip passes white space and the three kinds of comments.
func (s *scanner) skip() error {
	for s.pos < len(s.data) {
		rest := s.data[s.pos:]
		switch {
		case rest[0] == '\n':
			s.line++
			s.pos++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r' || rest[0] == '\f' || rest[0] == '\v':
			s.pos++
		case rest[0] == '#' || strings.HasPrefix(string(rest[:min(2, len(rest))]), "//"):
			for s.pos < len(s.data) && s.data[s.pos] != '\n' {
				s.pos++
			}
		case len(rest) > 1 && rest[0] == '/' && rest[1] == '*':
			begun := s.line
			s.pos += 2
			for {
				if s.pos+1 >= len(s.data) {
					return &Error{begun, "a comment has no end", "close it with */"}
				}
				if s.data[s.pos] == '*' && s.data[s.pos+1] == '/' {
					break
				}
				if s.data[s.pos] == '\n' {
					s.line++
				}
				s.pos++
			}
			s.pos += 2
		default:
			return nil
		}
	}
	return nil
}

func (s *scanner) take(in func(byte) bool) string {
	from := s.pos
	for s.pos < len(s.data) && in(s.data[s.pos]) {
		s.pos++
	}
	return string(s.data[from:s.pos])
}

var escapes = map[byte]byte{'\\': '\\', '"': '"', 'n': '\n', 'r': '\r', 't': '\t', 'f': '\f', 'a': '\a', 'b': '\b', 'v': '\v'}

func (s *scanner) quoted() (string, error) {
	begun := s.line
	var b strings.Builder
	for s.pos++; s.pos < len(s.data); s.pos++ {
		c := s.data[s.pos]
		switch c {
		case '"':
			s.pos++
			return b.String(), nil
		case '\n':
			s.line++
			b.WriteByte(c)
		case '\\':
			s.pos++
			if s.pos == len(s.data) {
				continue
			}
			e := s.data[s.pos]
			if plain, ok := escapes[e]; ok {
				b.WriteByte(plain)
				continue
			}
			if e == 'x' && s.pos+2 < len(s.data) {
				if v, err := strconv.ParseUint(string(s.data[s.pos+1:s.pos+3]), 16, 8); err == nil {
					b.WriteByte(byte(v))
					s.pos += 2
					continue
				}
			}
			return "", &Error{s.line, fmt.Sprintf("\\%c is no escape", rune(e)), `write \\ for a backslash, \xNN for a byte`}
		default:
			b.WriteByte(c)
		}
	}
	return "", &Error{begun, "a string has no end", `close it with "`}
}

// number reads an integer (decimal, 0x, 0o or 0b, with libconfig's L or LL) or
// a decimal fraction, and normalises an integer to decimal.
func (s *scanner) number(t token) (token, error) {
	word := s.take(func(c byte) bool { return isName(c) || c == '+' || c == '.' })
	digits := strings.TrimSuffix(strings.TrimSuffix(word, "L"), "L")
	base := 10
	sign, rest := "", strings.TrimPrefix(digits, "+")
	if strings.HasPrefix(digits, "-") {
		sign, rest = "-", digits[1:]
	}
	if len(rest) > 2 && rest[0] == '0' {
		if b := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2}[rest[1]]; b != 0 {
			base, rest = b, rest[2:]
		}
	}
	if i, err := strconv.ParseInt(sign+rest, base, 64); err == nil && isWord(rest) {
		t.kind, t.text = integer, strconv.FormatInt(i, 10)
		return t, nil
	}
	if isDecimal(word) {
		if f, err := strconv.ParseFloat(word, 64); err == nil {
			t.kind, t.text = float, strconv.FormatFloat(f, 'g', -1, 64)
			return t, nil
		}
	}
	return t, &Error{t.line, fmt.Sprintf("%q is no number", word), "write a decimal number, or put text in double quotes"}
}

// isWord keeps a second sign, which ParseInt would take, out of a number.
func isWord(s string) bool { return s != "" && s[0] != '-' && s[0] != '+' }

// isDecimal keeps Go's own spellings (hexadecimal floats, infinities,
// underscores) and plain integers that overflow out of libconfig's floats.
func isDecimal(s string) bool {
	return strings.ContainsAny(s, ".eE") && strings.Trim(s, "0123456789+-.eE") == ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '*'
}

func isName(c byte) bool { return isNameStart(c) || isDigit(c) || c == '_' || c == '-' }
