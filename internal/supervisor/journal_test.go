package supervisor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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

// TestJournalRefusesWhatIsNoFile: a pipe, whether somebody reads it or not, a device or a link in place of the file of events is
// neither waited for nor written to.
func TestJournalRefusesWhatIsNoFile(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"pipe with a reader": func(path string) error {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				return err
			}
			r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err == nil {
				t.Cleanup(func() { r.Close() })
			}
			return err
		},
		"link":   func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "other"), path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := put(filepath.Join(dir, EventFile)); err != nil {
				t.Fatal(err)
			}
			said := make(chan string, 1)
			j := newJournal(dir, "g", func(err error) { said <- err.Error() })
			go j.add(Entry{Event: report.Event{Kind: "a"}})
			select {
			case got := <-said:
				if !strings.Contains(got, EventFile) || name != "folder" && !strings.Contains(got, "is no regular file: remove it") {
					t.Errorf("it said %q", got)
				}
			case <-time.After(10 * time.Second):
				t.Error("it waits, or writes to it")
			}
			if _, err := os.Lstat(filepath.Join(dir, "other")); err == nil {
				t.Error("it followed the link")
			}
		})
	}
}

// TestEventReaderRefusesWhatIsNoFile: what is no file is named, and keeps nobody from the events beside it.
func TestEventReaderRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(filepath.Join(dir, "sound"), "g", func(err error) { t.Error(err) })
	j.add(Entry{Event: report.Event{Kind: "a"}})
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func(path string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o700), put(filepath.Join(dir, name, EventFile))); err != nil {
			t.Fatal(err)
		}
	}
	read := 0
	err := NewEventReader(dir).Read(func(Entry) error { read++; return nil }, func(err error) { t.Error(err) })
	if err == nil || strings.Count(err.Error(), "is no regular file: remove it") != 2 || read != 1 {
		t.Errorf("read %d events, %v", read, err)
	}
}

// TestJournalsOfOneGroup: when one run of a group makes the file of events the old one, another goes on in the new one, and a reader
// misses and repeats nothing.
func TestJournalsOfOneGroup(t *testing.T) {
	dir := t.TempDir()
	broken := func(err error) { t.Error(err) }
	first, second := newJournal(dir, "g", broken), newJournal(dir, "g", broken)
	reader := NewEventReader(dir)
	read := func(want ...string) {
		t.Helper()
		var got []string
		if err := reader.Read(func(e Entry) error { got = append(got, e.Kind); return nil }, broken); err != nil {
			t.Error(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	at := time.Now()
	add := func(j *journal, kind, text string) {
		at = at.Add(time.Second)
		j.add(Entry{Event: report.Event{Time: at, Kind: kind, Text: text}, Group: "g"})
	}
	add(first, "one", "")
	read("one")
	add(first, "two", strings.Repeat("x", maxEventFile))
	add(second, "three", "")
	add(first, "four", "")
	read("two", "three", "four")
	add(second, "five", "")
	read("five")
	if err := errors.Join(first.close(), second.close()); err != nil {
		t.Error(err)
	}
	reader = NewEventReader(dir)
	read("one", "two", "three", "four", "five")
}
