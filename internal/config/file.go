package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// readBounded reads a regular file and never waits: a path that a container
// chose may name a pipe. One byte more than maxFile tells that it is too long.
func readBounded(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, cannotRead(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, cannotRead(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("this is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cannotRead(err)
	}
	return data, nil
}

// cannotRead leaves out the path, which the error's position already says.
func cannotRead(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("the file cannot be read (%w)", err)
}

// Trusted tells why the file at path could be changed or exchanged by someone
// other than root: itself or a folder on the way to it, as named and as
// resolved, belongs to another user or is writable by others. It returns nil
// if only root can, and an *Error with ErrUnreadable if there is no such file.
func Trusted(path string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return &Error{File: path, Kind: ErrUnreadable, Problem: err.Error(), Fix: "name it by its absolute path"}
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return &Error{File: path, Kind: ErrUnreadable, Problem: cannotRead(err).Error(), Fix: "name a readable file"}
	}
	for _, p := range []string{absolute, resolved} {
		for {
			if err := onlyRoot(p, p == absolute && p != resolved); err != nil {
				return &Error{File: path, Kind: ErrUnsafeFile, Problem: err.Error(), Fix: "chown root and chmod go-w it, or move the file under /etc/monmod"}
			}
			if p == "/" {
				break
			}
			p = filepath.Dir(p)
		}
	}
	return nil
}

// onlyRoot judges one component. In a sticky folder (/tmp) others can add
// entries and cannot exchange root's.
func onlyRoot(path string, link bool) error {
	stat := os.Stat
	if link {
		stat = os.Lstat
	}
	info, err := stat(path)
	if err != nil {
		return cannotRead(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || owner.Uid != 0:
		return fmt.Errorf("%s does not belong to root", path)
	case info.Mode()&fs.ModeSymlink != 0:
		return nil
	case info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("%s is writable by others (mode %#o)", path, info.Mode().Perm())
	}
	return nil
}
