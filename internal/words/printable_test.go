package words

import "testing"

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain, é and 漢":     "plain, é and 漢",
		"\x1b[31mred":        `\x1b[31mred`,
		"a\nb\tc\r\x00\x7f":  `a\nb\tc\r\x00\x7f`,
		"\xff\xfe":           `\xff\xfe`,
		"\u009b31m\u202e":    `\u009b31m\u202e`,
		"it's \"quoted\" \\": "it's \"quoted\" \\",
		"\ufffd":             "\ufffd",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got, want := Message("a\x1b\nmonmod: b\n"), "a\\x1b\n  monmod: b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
