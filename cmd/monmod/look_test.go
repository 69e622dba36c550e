package main

import "testing"

func TestPrintableArg(t *testing.T) {
	for given, want := range map[string]string{"plain": "plain", "a\x1b[2Jb": `a\x1b[2Jb`, `say "x"`: `say \"x\"`, "é": `\u00e9`, "": ""} {
		if got := printableArg(given); got != want {
			t.Errorf("%q: got %s, want %s", given, got, want)
		}
	}
}
