package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/report"
)

// EventFile holds the events of a group in its folder of logs, one JSON Entry a line, mode 0600.
const EventFile = "events.jsonl"

// oldEvents is what is appended to the name of the file before.
const oldEvents = ".old"

// maxEventFile is the size in bytes at which an event file becomes the old one.
const maxEventFile = 16 << 20

// Entry is one line of an event file.
type Entry struct {
	report.Event
	Group      string  `json:"group"`
	Supervisor int     `json:"supervisor"` // its process: one run of the group
	Counters   *Counts `json:"counters,omitempty"`
}

// journal keeps the events of a session. A journal that cannot be written says so once and goes on in memory: monitoring does
// not depend on it. Its folder is there from the first event on: a group of which there is nothing to tell leaves none behind.
type journal struct {
	dir    string
	opened bool     // or tried to
	file   *os.File // nil: none yet, or it cannot be written
	group  string
	newest []report.Event
	broken func(error)
}

// newJournal is for the events that are to be kept in a folder; broken is told once that they cannot be.
func newJournal(dir, group string, broken func(error)) *journal {
	return &journal{dir: dir, group: group, broken: broken}
}

// open opens the event file in its folder, which it makes.
func (j *journal) open() {
	j.opened = true
	path := filepath.Join(j.dir, EventFile)
	err := os.MkdirAll(j.dir, 0o700)
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Lstat(path); err == nil && info.Size() > maxEventFile {
			err = os.Rename(path, path+oldEvents)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		j.file, err = openEvents(path)
	}
	if err != nil {
		j.fail(err)
	}
}

// openEvents opens an event file to append to it. Somebody else's pipe in its place would hold this process, here or when it is
// full, and a link would lead elsewhere.
func openEvents(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is no regular file: remove it (%w)", path, err)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file: remove it", path)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// over says that the file is large enough, or has become the old one at another group's hands, and closes it.
func (j *journal) over() bool {
	own, err := j.file.Stat()
	if err != nil {
		return false // the write will say it
	}
	if now, err := os.Lstat(filepath.Join(j.dir, EventFile)); err == nil && os.SameFile(own, now) && own.Size() <= maxEventFile {
		return false
	}
	_ = j.file.Close() // it was written, and is not missed
	j.file = nil
	return true
}

func (j *journal) fail(err error) {
	j.file = nil
	remedy := "name a folder that can be written by --logs, or by the group's `logs`"
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		remedy = "make room, or " + remedy
	}
	j.broken(fmt.Errorf("keep the events of group %s: %w: nothing is kept of this run: %s", j.group, err, remedy))
}

func (j *journal) add(e Entry) {
	j.newest = append(j.newest, e.Event)
	if over := len(j.newest) - report.MaxEvents; over > 0 {
		j.newest = append(j.newest[:0], j.newest[over:]...)
	}
	if !j.opened || j.file != nil && j.over() {
		j.open()
	}
	if j.file == nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n')) // one write: lines of two groups do not mix
	}
	if err != nil {
		_ = j.file.Close() // the write's error is the one to tell
		j.fail(err)
	}
}

func (j *journal) recent() []report.Event { return append([]report.Event(nil), j.newest...) }

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// tell takes down an event of the session.
func (s *session) tell(kind string, variant int, text string) {
	s.log.WithField("variant", variant).Infof("%s: %s", kind, text)
	s.enter(kind, variant, text, nil)
}

func (s *session) enter(kind string, variant int, text string, counters *Counts) {
	e := report.Event{Time: time.Now(), Kind: kind, Variant: variant, Text: text}
	s.journal.add(Entry{Event: e, Group: s.group.Name, Supervisor: os.Getpid(), Counters: counters})
}
