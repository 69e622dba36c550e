package report

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// MaxBytes is the size of the largest report that is written or read.
const MaxBytes = 8 << 20

// ErrNone says that a folder holds no report.
var ErrNone = errors.New("no divergence report")

// Names sort by time. The random end keeps two groups that share a folder apart.
const timeForm = "20060102T150405.000000000Z"

var nameForm = regexp.MustCompile(`^divergence-([0-9]{8}T[0-9]{6}\.[0-9]{9}Z)-[0-9a-z]+\.json$`)

// Write concludes, bounds and checks a report and puts it into a folder, which is made (mode 0700) where it is missing. The
// file (mode 0600) appears whole or not at all and survives a crash from then on. It returns the file's path.
func Write(dir string, r *Report) (string, error) {
	path, err := write(dir, r)
	if err != nil {
		return "", fmt.Errorf("writing the divergence report into %s: %w%s", dir, err, advice(err))
	}
	return path, nil
}

func write(dir string, r *Report) (path string, err error) {
	r.Conclude()
	kept := r.bound()
	if err := kept.Validate(); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return "", err
	}
	if data = append(data, '\n'); len(data) > MaxBytes {
		return "", fmt.Errorf("it has %d bytes, more than the %d that are read back", len(data), MaxBytes)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	folder, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer folder.Close()
	if err := private(folder); err != nil {
		return "", err
	}
	name := fmt.Sprintf("divergence-%s-%s.json", r.Time.UTC().Format(timeForm), random())
	if err := place(folder, name, data); err != nil {
		return "", err
	}
	return filepath.Join(dir, name), nil
}

// place writes a file under another name and renames it when it is safely on the disk.
func place(folder *os.Root, name string, data []byte) (err error) {
	part := "." + name + ".part"
	f, err := folder.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			folder.Remove(part)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err = folder.Rename(part, name); err != nil {
		return err
	}
	d, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// private refuses a folder in which another user could put a file in a report's place. The mode of a folder that exists is
// left alone: it may be one that others use.
func private(folder *os.Root) error {
	st, err := folder.Stat(".")
	if err != nil {
		return err
	}
	if st.Mode().Perm()&0o022 != 0 && st.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("its mode is %04o: others could replace reports; chmod go-w it or name another folder", st.Mode().Perm())
	}
	return nil
}

func random() string {
	var b [4]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x", b)
}

// advice says what to do about an error of the system.
func advice(err error) string {
	for _, a := range []struct {
		errno error
		text  string
	}{
		{unix.ENOSPC, "; make room there, or set `logs` to a folder that has some"},
		{unix.EDQUOT, "; the quota is used up: make room there, or set `logs` to another folder"},
		{unix.EROFS, "; set `logs` to a folder that can be written"},
		{unix.EACCES, "; give this user write access, or set `logs` to a folder of its own"},
		{unix.EPERM, "; give this user write access, or set `logs` to a folder of its own"},
		{unix.ENOTDIR, "; set `logs` to a folder"},
	} {
		if errors.Is(err, a.errno) {
			return a.text
		}
	}
	return ""
}

// Load reads a report strictly: a plain file of bounded size, one JSON value, no key that this version does not know.
func Load(path string) (*Report, error) {
	r, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("reading the divergence report %s: %w", path, err)
	}
	return r, nil
}

func load(path string) (*Report, error) {
	// O_NONBLOCK: a fifo in a report's place must not hold the reader.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, errors.New("it is no plain file; name a file that monmod wrote")
	case st.Size() > MaxBytes:
		return nil, fmt.Errorf("it has %d bytes, a report has at most %d", st.Size(), MaxBytes)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	return parse(data)
}

func parse(data []byte) (*Report, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("it has more than %d bytes", MaxBytes)
	}
	// The version first: a newer form would else be refused for a key, which says nothing to the reader.
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	if version.Schema == nil {
		return nil, errors.New("it has no schema: it is not a report that monmod wrote")
	}
	if *version.Schema != Schema {
		return nil, fmt.Errorf("its schema is %d, this monmod reads %d: use the monmod that wrote it", *version.Schema, Schema)
	}
	r := new(Report)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// Last gives the path of the newest report in a folder or in a folder directly below it (one per group). The error is ErrNone
// where there is none.
func Last(dir string) (string, error) {
	var newest, path string
	for _, depth := range []string{"*", "*/*"} {
		names, err := fs.Glob(os.DirFS(dir), depth)
		if err != nil {
			return "", fmt.Errorf("looking for divergence reports in %s: %w", dir, err)
		}
		for _, name := range names {
			if m := nameForm.FindStringSubmatch(filepath.Base(name)); m != nil && m[1] > newest {
				newest, path = m[1], filepath.Join(dir, name)
			}
		}
	}
	if path == "" {
		if _, err := os.ReadDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking for divergence reports in %s: %w", dir, err)
		}
		return "", fmt.Errorf("%w in %s: name a file, or the folder that the group's `logs` says", ErrNone, dir)
	}
	return path, nil
}
