package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// EventReader reads the events of the groups below a folder of logs, each event once.
type EventReader struct {
	dir  string
	read map[string]int64 // bytes taken of each file
}

// NewEventReader reads dir's own event file and those of the folders directly in it.
func NewEventReader(dir string) *EventReader {
	return &EventReader{dir: dir, read: make(map[string]int64)}
}

// Read hands over what is new since the last Read, in the order of time. It ends with the first error of each.
func (r *EventReader) Read(each func(Entry) error) error {
	var entries []Entry
	for _, form := range []string{EventFile, "*/" + EventFile} {
		paths, err := filepath.Glob(filepath.Join(r.dir, form))
		if err != nil {
			return fmt.Errorf("look for events in %s: %w", r.dir, err)
		}
		for _, path := range paths {
			if err := r.take(path, func(e Entry) { entries = append(entries, e) }); err != nil {
				return fmt.Errorf("read the events in %s: %w", path, err)
			}
		}
	}
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].Time.Before(entries[j].Time) })
	for _, e := range entries {
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *EventReader) take(path string, each func(Entry)) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has just become the old one
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < r.read[path] {
		r.read[path] = 0 // a new file
	}
	if _, err := f.Seek(r.read[path], io.SeekStart); err != nil {
		return err
	}
	n, err := readEntries(bufio.NewReader(f), each)
	r.read[path] += n
	return err
}

// readEntries calls each for every whole line of r that is an Entry and returns how many bytes those lines had. What is no
// Entry is passed over: several versions may write into one file.
func readEntries(r *bufio.Reader, each func(Entry)) (taken int64, err error) {
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return taken, nil
		}
		if err != nil {
			return taken, err
		}
		taken += int64(len(line))
		var e Entry
		if json.Unmarshal(line, &e) == nil {
			each(e)
		}
	}
}
