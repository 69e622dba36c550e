package supervisor

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLastWord: one line of plain text, at the end of which nothing of the log is held open, and a log that takes nothing holds
// nobody up for long.
func TestLastWord(t *testing.T) {
	if got := plain("a\x1b]0;evil\x07\n\x00\xffé", 512); got != `a\x1b]0;evil\a\n\x00\xffé` {
		t.Errorf("%q", got)
	}
	if got := plain(strings.Repeat("é", 300), 511); got != strings.Repeat("é", 255)+"…" {
		t.Errorf("%q", got)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	open := func() *session {
		fd, err := unix.Dup(int(w.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		return &session{variants: []*variant{{stderr: -1}, {stderr: fd}}}
	}
	open().lastWord("this is why\n")
	full := open()
	w.Close()
	if got, err := io.ReadAll(io.LimitReader(r, 22)); err != nil || string(got) != `monmod: this is why\n`+"\n" {
		t.Errorf("%q, %v", got, err)
	}
	if err := unix.SetNonblock(full.variants[1].stderr, true); err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = unix.Write(full.variants[1].stderr, block)
	}
	if err := unix.SetNonblock(full.variants[1].stderr, false); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	full.lastWord("nobody reads this")
	if took := time.Since(began); took > 20*lastWordTime {
		t.Errorf("a full log held the end up for %v", took)
	}
}
