package kmod

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/abi"
)

// TestOffencesHaveWords holds the table to the header: everything that the module kills for is said in words.
func TestOffencesHaveWords(t *testing.T) {
	header, err := os.ReadFile("../../include/monmod/kmod.h")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(header), "enum mm_kmod_offence {")
	list, _, closed := strings.Cut(list, "};")
	names := regexp.MustCompile(`MM_KMOD_\w+ = (\d+)`).FindAllStringSubmatch(list, -1)
	if !found || !closed || len(names) < 9 {
		t.Fatalf("the header's list of offences was not found: %q", list)
	}
	if len(offences) != len(names) {
		t.Errorf("%d offences have words, the header has %d", len(offences), len(names))
	}
	for o := Offence(1); o <= Offence(len(names)); o++ {
		if offences[o] == "" {
			t.Errorf("offence %d has no words", o)
		}
	}
	if s := Offence(1000).String(); !strings.Contains(s, "1000") {
		t.Errorf("an unknown offence is %q", s)
	}
}

func TestViolation(t *testing.T) {
	for _, c := range []struct {
		v    Violation
		want string
	}{
		{Violation{PID: 7, Offence: abi.KmodGate, Nr: 59, IP: 0x1000, SP: 0x2000}, "made a system call at the monitor's gate without being the monitor, call number 59, at 0x1000 with the stack at 0x2000"},
		{Violation{PID: 7, Offence: abi.KmodExec, Nr: -1}, "executed a program without its monitor"},
	} {
		if got := c.v.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestWithoutModule says what to do on a host that has not loaded it.
func TestWithoutModule(t *testing.T) {
	if Loaded() {
		t.Skip("the module is loaded here")
	}
	if _, err := Open(); err == nil || !strings.Contains(err.Error(), "monmod kmod load") {
		t.Errorf("opening a session: %v", err)
	}
	if _, err := Read(); err == nil || !strings.Contains(err.Error(), "not loaded") {
		t.Errorf("reading the state: %v", err)
	}
	if err := Reset(); err == nil {
		t.Error("there was something to reset")
	}
	if err := Load("kmod_test.go"); err == nil {
		t.Error("a source file was loaded as a module")
	}
}
