package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
)

// EventReader reads the events of the groups below a folder of logs, each event once.
type EventReader struct {
	// Once says that there is one Read: a last line without its end is judged too, since nothing will complete it.
	Once bool

	dir  string
	read map[fileID]place // how much was taken of each file
}

// fileID names a file whatever it is called: a group's events become the old ones under another name.
type fileID struct {
	dev, ino uint64
}

// place is how far a file was read.
type place struct {
	bytes, lines int64
}

// NewEventReader reads dir's own event file and those of the folders directly in it.
func NewEventReader(dir string) *EventReader {
	return &EventReader{dir: dir, read: make(map[fileID]place)}
}

// Read hands over what is new since the last Read, in the order of time, and whole lines that are no event to bad, each as an
// error that names file and line. It ends with the first error of each. What cannot be read does not keep the rest from being
// shown.
func (r *EventReader) Read(each func(Entry) error, bad func(error)) error {
	paths, err := r.files()
	if err != nil {
		return err
	}
	var entries []Entry
	var unread []error
	seen := make(map[fileID]place)
	for _, path := range paths {
		if err := r.take(path, seen, func(e Entry) { entries = append(entries, e) }, bad); err != nil {
			unread = append(unread, fmt.Errorf("read the events: %w", err))
		}
	}
	if len(unread) > 0 {
		maps.Copy(r.read, seen) // one that could not be read may be there again
	} else {
		r.read = seen
	}
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].Time.Before(entries[j].Time) })
	for _, e := range entries {
		if err := each(e); err != nil {
			return err
		}
	}
	return errors.Join(unread...)
}

// files are those that may be there.
func (r *EventReader) files() ([]string, error) {
	folders, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("look for events: %w: name the folder that the group's `logs` says, or the one above it", err)
	}
	all := []string{r.dir}
	for _, f := range folders {
		if f.IsDir() || f.Type()&fs.ModeSymlink != 0 {
			all = append(all, filepath.Join(r.dir, f.Name()))
		}
	}
	var paths []string
	for _, dir := range all { // the newer first: what becomes the old one meanwhile is found there
		paths = append(paths, filepath.Join(dir, EventFile), filepath.Join(dir, EventFile+oldEvents))
	}
	return paths, nil
}

// take reads on in the file at path, unless it is among those seen, and notes there how far.
func (r *EventReader) take(path string, seen map[fileID]place, each func(Entry), bad func(error)) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil // no group's folder, or the file has just become the old one
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("read events: %s is no regular file: remove it", path) // a device may be without end
	}
	id := fileID{st.Dev, st.Ino}
	if _, twice := seen[id]; twice {
		return nil
	}
	at := r.read[id]
	if st.Size < at.bytes {
		at = place{} // a new file
	}
	if _, err := f.Seek(at.bytes, io.SeekStart); err != nil {
		return err
	}
	at, err = r.entries(bufio.NewReader(f), at, each, func(line int64) {
		bad(fmt.Errorf("%s:%d: this line is no event: it is passed over; remove it", path, line))
	})
	seen[id] = at
	return err
}

// entries calls each for every whole line that is an Entry, and bad with the number of every other one. It begins at a place
// and returns the one behind the last line that was taken.
func (r *EventReader) entries(in *bufio.Reader, at place, each func(Entry), bad func(line int64)) (place, error) {
	for {
		line, err := in.ReadBytes('\n')
		end := errors.Is(err, io.EOF)
		switch {
		case end && (!r.Once || len(line) == 0):
			return at, nil
		case err != nil && !end:
			return at, err
		}
		at.bytes += int64(len(line))
		at.lines++
		var e Entry
		if json.Unmarshal(line, &e) != nil || e.Kind == "" {
			bad(at.lines)
			continue
		}
		each(e)
	}
}
