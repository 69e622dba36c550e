package supervisor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/report"
)

// TestJournalLeavesNoEmptyFolder: the folder of a group's events comes with the first of them.
func TestJournalLeavesNoEmptyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	open := func() *journal {
		return newJournal(dir, "g", func(err error) { t.Errorf("it cannot be written: %v", err) })
	}
	if err := open().close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a journal without events made its folder (%v)", err)
	}
	for range 2 {
		j := open()
		j.add(Entry{Event: report.Event{Kind: "a"}})
		j.add(Entry{Event: report.Event{Kind: "b"}})
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, EventFile))
	if err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("the events of two runs: %q, %v", text, err)
	}
}

// TestJournalSaysOnceThatItCannotWrite: what cannot be kept is told with the first event, and not again.
func TestJournalSaysOnceThatItCannotWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var said []string
	j := newJournal(filepath.Join(file, "logs"), "g", func(err error) { said = append(said, err.Error()) })
	for range 3 {
		j.add(Entry{Event: report.Event{Kind: "a"}})
	}
	if len(said) != 1 || !strings.Contains(said[0], "--logs") || len(j.recent()) != 3 {
		t.Errorf("it said %q and remembers %d events", said, len(j.recent()))
	}
	if err := j.close(); err != nil {
		t.Error(err)
	}
}
