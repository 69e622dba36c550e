package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is found as what is wanted: golden files and the tables in docs/")

// golden compares got with the file beside the input, or writes it.
func golden(t *testing.T, input, got string) {
	t.Helper()
	path := input + ".want"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s:\n got %s\nwant %s", input, got, want)
	}
}

// inputs lists the golden inputs of one folder of testdata.
func inputs(t testing.TB, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var in []string
	for _, f := range all {
		if !strings.HasSuffix(f, ".want") {
			in = append(in, f)
		}
	}
	if len(in) == 0 {
		t.Fatalf("testdata/%s holds no inputs", dir)
	}
	return in
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// render shows all that a group is, with the folders that depend on the user.
func render(g *Group) string {
	var b strings.Builder
	for _, s := range g.Meaning() {
		fmt.Fprintf(&b, "%s = %s\n", s.Key, s.Value)
	}
	fmt.Fprintf(&b, "keys in %s\nlogs in %s\n", g.Keys, g.Logs)
	for _, n := range g.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

func knowing(t *testing.T, calls ...string) {
	t.Helper()
	before := KnownCall
	t.Cleanup(func() { KnownCall = before })
	KnownCall = func(name string) bool {
		for _, c := range calls {
			if c == name {
				return true
			}
		}
		return false
	}
}

func TestGroupFiles(t *testing.T) {
	knowing(t, "openat", "getpid", "read")
	for _, in := range inputs(t, "group") {
		t.Run(filepath.Base(in), func(t *testing.T) {
			g, err := Parse(filepath.Base(in), read(t, in))
			if err != nil {
				wellFormed(t, err)
				golden(t, in, err.Error()+"\n")
				return
			}
			golden(t, in, render(g))
		})
	}
}

// wellFormed holds every error to the house rule: where, what, and what next.
func wellFormed(t *testing.T, err error) {
	t.Helper()
	var all Problems
	if !errors.As(err, &all) || len(all) == 0 {
		t.Fatalf("%v is no Problems", err)
	}
	for _, p := range all {
		switch e := p.(type) {
		case *Error:
			if e.File == "" || e.Line < 0 || e.Kind == nil || e.Problem == "" || e.Fix == "" {
				t.Errorf("incomplete: %#v", e)
			}
		case *NotInThisVersion:
			if e.File == "" || e.Line == 0 || e.Key == "" || e.Value == "" || e.Instead == "" {
				t.Errorf("incomplete: %#v", e)
			}
		default:
			t.Errorf("%T is neither an Error nor a NotInThisVersion", p)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	knowing(t, "openat", "getpid", "read")
	for file, kind := range map[string]error{
		"unknown-key.yaml": ErrUnknownKey, "duplicate-key.yaml": ErrDuplicateKey, "duplicate-key.cfg": ErrDuplicateKey,
		"duplicate-id.yaml": ErrDuplicateID, "duplicate-address.yaml": ErrDuplicateAddress, "missing-leader.yaml": ErrMissingLeader,
		"missing-leader.cfg": ErrMissingLeader, "missing-variants.yaml": ErrMissingKey, "leader-not-variant.yaml": ErrLeaderNotVariant,
		"addresses.yaml": ErrBadAddress, "addresses-2.yaml": ErrBadAddress, "numbers-2.yaml": ErrAbsurd, "one-variant.yaml": ErrAbsurd,
		"nine-variants.yaml": ErrAbsurd, "id-zero.cfg": ErrAbsurd, "lag-order.yaml": ErrAbsurd, "types.yaml": ErrWrongType,
		"values.yaml": ErrBadValue, "rules.yaml": ErrBadRule, "unknown-call.yaml": ErrBadRule, "alias.yaml": ErrSyntax,
		"not-yaml.yaml": ErrSyntax, "include.cfg": ErrSyntax, "no-meaning.cfg": ErrNoMeaning,
	} {
		if _, err := Parse(file, read(t, "testdata/group/"+file)); !errors.Is(err, kind) {
			t.Errorf("%s: got %v, want kind %q", file, err, kind)
		}
	}
	for _, file := range []string{"later.yaml", "later-2.yaml", "later.cfg"} {
		var later *NotInThisVersion
		if _, err := Parse(file, read(t, "testdata/group/"+file)); !errors.As(err, &later) {
			t.Errorf("%s: got %v, want a NotInThisVersion", file, err)
		}
	}
}

func TestOperatorFiles(t *testing.T) {
	for _, in := range inputs(t, "operator") {
		t.Run(filepath.Base(in), func(t *testing.T) {
			o, err := parseOperator(filepath.Base(in), read(t, in))
			if err != nil {
				wellFormed(t, err)
				golden(t, in, err.Error()+"\n")
				return
			}
			golden(t, in, fmt.Sprintf("%+v\n", *o))
		})
	}
}
