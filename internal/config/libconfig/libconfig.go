// Package libconfig reads the text form of libconfig files: settings, groups,
// lists, arrays and scalars, each with the line it stands on.
//
// It knows the grammar and nothing of what a setting means; that is the work
// of package config. It opens no file: @include is refused, so that what is
// validated and digested is all there is.
package libconfig

import "fmt"

// Kind says what a Value is.
type Kind int

// The kinds of a Value.
const (
	String Kind = iota
	Integer
	Float
	Boolean
	Array // [ … ], scalars of one kind
	List  // ( … ), anything
	Group // { … }, and the file itself
)

// Value is one value of a file. Text holds a scalar: a string without quotes
// and escapes, a number in decimal, true or false. Items holds the elements of
// an array or list, Settings those of a group, in the order of the file and
// with duplicates, which are for the caller to judge.
type Value struct {
	Kind     Kind
	Line     int
	Text     string
	Items    []*Value
	Settings []Setting
}

// Setting is one `name = value` of a group.
type Setting struct {
	Name  string
	Line  int
	Value *Value
}

// Error is a place where the text leaves the grammar. Fix says what to write.
type Error struct {
	Line    int
	Problem string
	Fix     string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d: %s; %s", e.Line, e.Problem, e.Fix)
}

// maxDepth bounds the recursion on a hostile file; a group file needs four.
const maxDepth = 32

// Parse reads a whole file and returns its settings as a Group. Every error is
// an *Error.
func Parse(data []byte) (*Value, error) {
	p := &parser{scanner: scanner{data: data, line: 1}}
	if err := p.next(); err != nil {
		return nil, err
	}
	root := &Value{Kind: Group, Line: 1}
	if err := p.settings(root, end, 0); err != nil {
		return nil, err
	}
	return root, nil
}

type parser struct {
	scanner
	tok token
}

// next moves to the next token.
func (p *parser) next() error {
	t, err := p.scan()
	if err != nil {
		return err
	}
	p.tok = t
	return nil
}

// settings reads `name = value` until the closing token, which it consumes.
func (p *parser) settings(group *Value, closing tokenKind, depth int) error {
	for p.tok.kind != closing {
		if p.tok.kind != name {
			return p.unexpected("the name of a setting")
		}
		s := Setting{Name: p.tok.text, Line: p.tok.line}
		if err := p.next(); err != nil {
			return err
		}
		if p.tok.kind != assign {
			return p.unexpected(fmt.Sprintf("= after %q", s.Name))
		}
		if err := p.next(); err != nil {
			return err
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		s.Value = v
		group.Settings = append(group.Settings, s)
		if p.tok.kind == semicolon || p.tok.kind == comma {
			if err := p.next(); err != nil {
				return err
			}
		}
	}
	if closing == end {
		return nil
	}
	return p.next()
}

func (p *parser) value(depth int) (*Value, error) {
	if depth > maxDepth {
		return nil, &Error{p.tok.line, fmt.Sprintf("values are nested more than %d deep", maxDepth), "flatten them"}
	}
	v := &Value{Line: p.tok.line, Text: p.tok.text}
	switch p.tok.kind {
	case str:
		return p.concatenation(v)
	case integer:
		v.Kind = Integer
	case float:
		v.Kind = Float
	case boolean:
		v.Kind = Boolean
	case openBrace:
		v.Kind, v.Text = Group, ""
		if err := p.next(); err != nil {
			return nil, err
		}
		return v, p.settings(v, closeBrace, depth)
	case openParen:
		v.Kind, v.Text = List, ""
		return v, p.items(v, closeParen, depth)
	case openBracket:
		v.Kind, v.Text = Array, ""
		return v, p.items(v, closeBracket, depth)
	case name:
		return nil, &Error{p.tok.line, fmt.Sprintf("%q is no value", p.tok.text), `put text in double quotes`}
	default:
		return nil, p.unexpected("a value")
	}
	return v, p.next()
}

// concatenation joins string literals that follow each other.
func (p *parser) concatenation(v *Value) (*Value, error) {
	for {
		if err := p.next(); err != nil {
			return nil, err
		}
		if p.tok.kind != str {
			return v, nil
		}
		v.Text += p.tok.text
	}
}

// items reads the elements of a list or array after its opening token.
func (p *parser) items(v *Value, closing tokenKind, depth int) error {
	if err := p.next(); err != nil {
		return err
	}
	for p.tok.kind != closing {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if v.Kind == Array {
			if item.Kind >= Array {
				return &Error{item.Line, "an array in [ ] holds only numbers, booleans or strings", "use a list in ( )"}
			}
			if len(v.Items) > 0 && item.Kind != v.Items[0].Kind {
				return &Error{item.Line, "the elements of an array in [ ] are of different kinds", "use a list in ( )"}
			}
		}
		v.Items = append(v.Items, item)
		if p.tok.kind == comma {
			if err := p.next(); err != nil {
				return err
			}
		} else if p.tok.kind != closing {
			return p.unexpected(fmt.Sprintf("a comma or %s", closing))
		}
	}
	return p.next()
}

func (p *parser) unexpected(want string) error {
	have := p.tok.kind.String()
	if p.tok.kind == name {
		have = fmt.Sprintf("%q", p.tok.text)
	}
	return &Error{p.tok.line, fmt.Sprintf("%s where %s belongs", have, want), "see the libconfig form in docs/configuration.md"}
}
