package config

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong; errors.Is finds these in whatever this package returns.
var (
	ErrUnreadable       = errors.New("unreadable file")
	ErrUnsafeFile       = errors.New("file that others can change")
	ErrSyntax           = errors.New("syntax")
	ErrUnknownKey       = errors.New("unknown key")
	ErrDuplicateKey     = errors.New("duplicate key")
	ErrMissingKey       = errors.New("missing key")
	ErrMissingLeader    = errors.New("missing leader")
	ErrLeaderNotVariant = errors.New("leader is no variant")
	ErrDuplicateID      = errors.New("duplicate ID")
	ErrDuplicateAddress = errors.New("duplicate address")
	ErrBadAddress       = errors.New("bad address")
	ErrWrongType        = errors.New("wrong type")
	ErrBadValue         = errors.New("bad value")
	ErrAbsurd           = errors.New("absurd value")
	ErrBadRule          = errors.New("bad rule")
	ErrNoMeaning        = errors.New("setting without a meaning here")
	ErrNotMember        = errors.New("not a member")
	ErrKeys             = errors.New("keys")
	ErrWeakened         = errors.New("weaker than the operator allows")
)

// Error is one thing that is wrong, where, and what to do instead.
type Error struct {
	File    string // as the reader named it; empty where there is none
	Line    int    // 0 where there is none
	Kind    error  // one of the Err… values
	Problem string
	Fix     string
}

func (e *Error) Error() string {
	return position(e.File, e.Line) + short(e.Problem) + ": " + short(e.Fix)
}

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

// NotInThisVersion answers a value that is part of the format, and that this
// version cannot do.
type NotInThisVersion struct {
	File    string
	Line    int
	Key     string
	Value   string
	Instead string
}

func (e *NotInThisVersion) Error() string {
	return fmt.Sprintf("%s%s: %s is not in this version: %s", position(e.File, e.Line), e.Key, e.Value, e.Instead)
}

func lineOf(err error) int {
	switch e := err.(type) {
	case *Error:
		return e.Line
	case *NotInThisVersion:
		return e.Line
	}
	return 0
}

func position(file string, line int) string {
	switch {
	case file == "":
		return ""
	case line == 0:
		return file + ": "
	}
	return fmt.Sprintf("%s:%d: ", file, line)
}

// Problems are all the errors found in one file, in the order of its lines,
// each an *Error or a *NotInThisVersion. It is never empty.
type Problems []error

func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for i, err := range p {
		if i == maxProblems {
			lines = append(lines, fmt.Sprintf("and %d more", len(p)-i))
			break
		}
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors to errors.Is and errors.As.
func (p Problems) Unwrap() []error { return p }

// maxProblems is how many a person is shown at once.
const maxProblems = 20

// short keeps a hostile file from filling the reader's screen.
func short(s string) string {
	const most = 400
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// list renders alternatives as they stand in error texts.
func list(words []string) string { return strings.Join(words, ", ") }

// nearest returns the word closest to s, or "" where none is close enough to
// be what was meant.
func nearest(s string, words []string) string {
	best, least := "", max(1, len(s)/3)+1
	for _, w := range words {
		if d := distance(strings.ToLower(s), w, least); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour, or limit where it is that or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
