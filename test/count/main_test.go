package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	for _, c := range []struct {
		name, events string
		good         bool
		want         []string
	}{
		{"nothing", "", false, []string{"FAILED: 0 tests passed, 0 failed, 0 skipped in 0 packages"}},
		{"below and skipped", `
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/y"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: it is Monday\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1}
{"Action":"skip","Package":"no/tests"}`, true, []string{"skipped: p TestB: it is Monday\n", "ok: 2 tests passed, 0 failed, 1 skipped in 1 packages"}},
		{"failed", `
{"Action":"output","Package":"p","Test":"TestA","Output":"the reason\n"}
{"Action":"fail","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestC/x"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}`, false, []string{"the reason\n", "FAILED: 2 tests passed, 2 failed"}},
		{"a package that panics", `
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"panic: oh\n"}
{"Action":"fail","Package":"p"}`, false, []string{"panic: oh", "FAILED: 1 tests passed, 0 failed"}},
		{"not built", `
{"ImportPath":"p","Action":"build-output","Output":"x.go:1: wrong\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"pass","Package":"q","Test":"TestA"}
{"Action":"pass","Package":"q"}`, false, []string{"x.go:1: wrong", "FAILED: 1 tests passed"}},
		{"cut off", `
plain words
{"Action":"pass","Package":"p","Test":"TestA"}`, false, []string{"plain words", "did not end: p"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			counter := newCounter(&out)
			if err := counter.read(strings.NewReader(strings.TrimPrefix(c.events, "\n"))); err != nil {
				t.Fatal(err)
			}
			if good := counter.close(); good != c.good {
				t.Errorf("good: %v, want %v", good, c.good)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, out.String())
				}
			}
			if c.good && strings.Contains(out.String(), "chatter") {
				t.Errorf("it repeats what a good test said:\n%s", out.String())
			}
		})
	}
}

func TestReadTooLong(t *testing.T) {
	line := `{"Action":"output","Output":"` + strings.Repeat("x", 17<<20) + `"}`
	if err := newCounter(new(bytes.Buffer)).read(strings.NewReader(line)); err == nil {
		t.Error("a line without end is taken")
	}
}
