package config

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key describes one key of a table of a file: all that is known about it
// stands here, and decoding, defaults, error texts, the digest and the
// documentation follow.
type key[T any] struct {
	name     string
	original string // its name in the libconfig form, where that differs
	values   string // what may be written, for people
	def      string // the default, as it would be written
	defDoc   string // the default in words, where it is no fixed text
	doc      string
	missing  error // the kind of error if it is not there; nil: not required
	compound bool  // holds a list, not one value
	// a8 says that only the libconfig form has the key, for files of the
	// original system.
	a8  bool
	set func(d *decoder, n *node, t *T)
	// show gives the value in its one canonical spelling; nil for what is no
	// part of the group's meaning.
	show func(t *T) string
}

// in gives the key's name in one of the forms.
func (k key[T]) in(original bool) string {
	if original && k.original != "" {
		return k.original
	}
	return k.name
}

// decoder collects what is wrong with one file.
type decoder struct {
	file     string
	original bool
	problems Problems
}

func (d *decoder) bad(line int, kind error, fix, problem string, args ...any) {
	d.problems = append(d.problems, &Error{d.file, line, kind, fmt.Sprintf(problem, args...), fix})
}

func (d *decoder) later(n *node, key, value, instead string) {
	d.problems = append(d.problems, &NotInThisVersion{d.file, n.line, key, value, instead})
}

// err gives what was found in the order of the lines, or nil.
func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b error) int { return lineOf(a) - lineOf(b) })
	return d.problems
}

// is reports whether n is of one of the kinds, and says what it should be if not.
func (d *decoder) is(n *node, want string, kinds ...kind) bool {
	if slices.Contains(kinds, n.kind) {
		return true
	}
	have := n.kind.String()
	if n.text != "" {
		have = fmt.Sprintf("%s (%s)", strconv.Quote(n.text), have)
	}
	d.bad(n.line, ErrWrongType, "write "+want, "%s is %s", n.title(), have)
	return false
}

// title is what errors call a value.
func (n *node) title() string {
	if n.name == "" {
		return "this"
	}
	return n.name
}

// at gives the line of a key, or that of the table where the key is missing.
func (n *node) at(name string) int {
	for _, e := range n.entries {
		if e.name == name {
			return e.line
		}
	}
	return n.line
}

func (n *node) has(name string) bool {
	return slices.ContainsFunc(n.entries, func(e entry) bool { return e.name == name })
}

// decodeTable fills t from n: every key known, none twice, none missing,
// defaults for the rest.
func decodeTable[T any](d *decoder, n *node, keys []key[T], t *T) {
	if !d.is(n, "a table of "+list(names(keys, d.original)), tableNode) {
		return
	}
	seen := map[string]int{}
	for _, e := range n.entries {
		if first, again := seen[e.name]; again {
			d.bad(e.line, ErrDuplicateKey, "keep one of the two", "%q stands here again, first in line %d", e.name, first)
			continue
		}
		seen[e.name] = e.line
		k, ok := lookUp(keys, e.name, d.original)
		switch {
		case !ok:
			d.bad(e.line, ErrUnknownKey, suggest(keys, e.name, d.original), "unknown key %q", e.name)
		case e.value.kind == nullNode:
			d.bad(e.line, ErrWrongType, "write "+k.values+", or remove the key", "%s has no value", e.name)
		default:
			e.value.name = e.name
			k.set(d, e.value, t)
		}
	}
	absent := func(k key[T]) bool { _, there := seen[k.in(d.original)]; return !there }
	for _, k := range keys {
		if k.missing != nil && absent(k) {
			name := k.in(d.original)
			d.bad(n.line, k.missing, fmt.Sprintf("add %q, %s", name, k.values), "%s is missing", name)
		}
	}
	applyDefaults(d, keys, t, func(k key[T]) bool { return k.def == "" || !absent(k) })
}

func applyDefaults[T any](d *decoder, keys []key[T], t *T, skip func(key[T]) bool) {
	for _, k := range keys {
		if !skip(k) {
			k.set(d, guess(k.name, k.def), t)
		}
	}
}

func lookUp[T any](keys []key[T], name string, original bool) (key[T], bool) {
	for _, k := range keys {
		if k.in(original) == name && (original || !k.a8) {
			return k, true
		}
	}
	return key[T]{}, false
}

func find[T any](keys []key[T], name string) (key[T], bool) { return lookUp(keys, name, false) }

func names[T any](keys []key[T], original bool) []string {
	var all []string
	for _, k := range keys {
		if original || !k.a8 {
			all = append(all, k.in(original))
		}
	}
	return all
}

func scalarNames[T any](keys []key[T]) []string {
	return names(slices.DeleteFunc(slices.Clone(keys), func(k key[T]) bool { return k.compound }), false)
}

// suggest says what to write instead of an unknown key: its name in this form,
// the nearest one, or the list.
func suggest[T any](keys []key[T], unknown string, original bool) string {
	for _, k := range keys {
		switch {
		case k.a8 && k.name == unknown:
			return "remove it, only the libconfig form has it"
		case k.in(!original) == unknown:
			return fmt.Sprintf("write %q, its name in this form", k.in(original))
		}
	}
	known := names(keys, original)
	if best := nearest(unknown, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "write one of " + list(known)
}

// choice is one value of a key that has a fixed few.
type choice struct {
	value string
	doc   string
	// instead is set for what this version cannot do: what to write for now.
	instead string
}

// values lists what this version can do.
func values(choices []choice) []string {
	var all []string
	for _, c := range choices {
		if c.instead == "" {
			all = append(all, c.value)
		}
	}
	return all
}

// oneOf completes a key that takes one of the choices.
func oneOf[T any, V ~string](k key[T], choices []choice, field func(*T) *V) key[T] {
	k.values = list(values(choices))
	if strings.Contains(k.values, ",") {
		k.values = "one of " + k.values
	}
	k.show = func(t *T) string { return string(*field(t)) }
	k.set = func(d *decoder, n *node, t *T) {
		if !d.is(n, k.values, textNode) {
			return
		}
		for _, c := range choices {
			if c.value != n.text {
				continue
			}
			if c.instead != "" {
				d.later(n, k.name, c.value, c.instead)
				return
			}
			*field(t) = V(c.value)
			return
		}
		fix := "write " + k.values
		if best := nearest(n.text, values(choices)); best != "" {
			fix = fmt.Sprintf("did you mean %q? It is %s", best, k.values)
		}
		d.bad(n.line, ErrBadValue, fix, "%s is no %s", strconv.Quote(n.text), k.name)
	}
	return k
}

// duration completes a key that takes a time.
func duration[T any](k key[T], least, most time.Duration, field func(*T) *time.Duration) key[T] {
	k.values = fmt.Sprintf("a time from %s to %s", spell(least), spell(most))
	k.show = func(t *T) string { return spell(*field(t)) }
	k.set = func(d *decoder, n *node, t *T) {
		if n.kind == integerNode || n.kind == decimalNode {
			d.bad(n.line, ErrWrongType, withUnit(n.text, least, most), "%s %s has no unit", k.name, n.text)
			return
		}
		if !d.is(n, k.values, textNode) {
			return
		}
		v, err := time.ParseDuration(n.text)
		switch {
		case err != nil:
			d.bad(n.line, ErrBadValue, "write "+k.values+", such as 500ms, 10s or 1m30s", "%s %s is no time", k.name, strconv.Quote(n.text))
		case v < least || v > most:
			d.bad(n.line, ErrAbsurd, "write "+k.values, "%s is %s", k.name, n.text)
		default:
			*field(t) = v
		}
	}
	return k
}

// withUnit says what to write instead of a number without a unit: the times that it can have meant and that are allowed.
func withUnit(number string, least, most time.Duration) string {
	var meant []string
	for _, unit := range []struct{ letters, name string }{{"s", "seconds"}, {"ms", "milliseconds"}, {"m", "minutes"}} {
		if v, err := time.ParseDuration(number + unit.letters); err == nil && v >= least && v <= most {
			meant = append(meant, number+unit.letters+" for "+unit.name)
		}
	}
	if meant == nil {
		return fmt.Sprintf("write a time from %s to %s, with its unit", spell(least), spell(most))
	}
	return "write " + strings.Join(meant, " or ") + fmt.Sprintf(" (a time from %s to %s)", spell(least), spell(most))
}

// spell renders a time as people write it: 10m, not 10m0s.
func spell(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// folder completes a key that takes an absolute path, or one of the words.
func folder[T any](k key[T], field func(*T) *string, words ...string) key[T] {
	k.values = strings.Join(append([]string{"an absolute path"}, words...), " or ")
	k.set = func(d *decoder, n *node, t *T) {
		if !d.is(n, k.values, textNode) {
			return
		}
		switch {
		case slices.Contains(words, n.text):
			*field(t) = n.text
		case !path.IsAbs(n.text) || strings.ContainsFunc(n.text, isControl):
			d.bad(n.line, ErrBadValue, "write "+k.values, "%s is %s", k.name, strconv.Quote(n.text))
		default:
			*field(t) = path.Clean(n.text)
		}
	}
	return k
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// isTrue reads a boolean, which YAML allows to be capitalised.
func isTrue(n *node) bool { return strings.EqualFold(n.text, "true") }

// id reads a variant's number.
func (d *decoder) id(n *node) int {
	if d.original && n.kind == integerNode && n.text == "0" {
		d.bad(n.line, ErrAbsurd, "add 1 to leader_id and to every id", "%s is 0: the original system numbered variants from 0, here they are numbered from 1", n.title())
		return 0
	}
	v, _ := d.number(n, 1, MaxID)
	return int(v)
}

// number reads a whole number between least and most.
func (d *decoder) number(n *node, least, most int64) (int64, bool) {
	want := fmt.Sprintf("a whole number from %d to %d", least, most)
	if !d.is(n, want, integerNode) {
		return 0, false
	}
	v, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil || v < least || v > most {
		d.bad(n.line, ErrAbsurd, "write "+want, "%s is %s", n.title(), n.text)
		return 0, false
	}
	return v, true
}
