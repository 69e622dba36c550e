package preflight

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// root is a container's root file system on this host. Links are followed as the container would: an absolute one begins at
// its root, and none leads out.
type root struct{ top *os.Root }

// maxLinks is the kernel's own bound on symbolic links in a path.
const maxLinks = 40

var errLinks = errors.New("too many symbolic links")

// resolve gives the path without links, relative to the root; "." is the root itself.
func (r root) resolve(name string) (string, error) {
	at, rest := ".", strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		word := rest[0]
		rest = rest[1:]
		switch word {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, word)
		info, err := r.top.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: %w", name, errLinks)
		}
		target, err := r.top.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// open opens a regular file, never a device or a pipe that would wait.
func (r root) open(name string) (*os.File, fs.FileInfo, error) {
	at, err := r.resolve(name)
	if err != nil {
		return nil, nil, err
	}
	f, err := r.top.OpenFile(at, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := regular(f, name)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// openRegular is root.open for a file of a bundle or an image itself.
func openRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if _, err := regular(f, name); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: put the file itself there", err)
	}
	return f, nil
}

// regular refuses what could be read for ever, or waits.
func regular(f *os.File, name string) (fs.FileInfo, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	return info, err
}

// regular says whether name leads to a regular file.
func (r root) regular(name string) bool {
	at, err := r.resolve(name)
	if err != nil {
		return false
	}
	info, err := r.top.Stat(at)
	return err == nil && info.Mode().IsRegular()
}

// readBounded reads all of in, an error where it has more than most bytes.
func readBounded(in io.Reader, name string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, most)
	}
	return data, nil
}
