package runtime

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// tree is the container's file system as it will be, seen from the host before
// the low-level runtime has mounted anything: its root and the files bound into
// it. Nothing in it leads out of the container, whatever links an image holds.
type tree struct {
	root   *os.Root
	places []place // later ones cover earlier ones
}

// place is one mount.
type place struct {
	at     string // in the container, clean, links resolved
	source string // on the host; empty where the content cannot be seen yet
	noexec bool
}

// errUnseen is for what is inside a file system that does not exist yet.
var errUnseen = errors.New("inside a file system that is mounted later")

// maxLinks is the kernel's own bound on symbolic links in a path.
const maxLinks = 40

// openTree opens the container's root. The caller closes the tree.
func openTree(b *Bundle) (*tree, error) {
	root, err := os.OpenRoot(b.Rootfs())
	if err != nil {
		return nil, err
	}
	t := &tree{root: root}
	for _, m := range b.Spec.Mounts {
		at, err := t.resolve(path.Clean("/"+m.Destination), true)
		if err != nil {
			// The low-level runtime will say what is wrong with the mount.
			continue
		}
		p := place{at: at, noexec: slices.Contains(m.Options, "noexec")}
		if isBind(m) {
			p.source = b.absolute(m.Source)
		}
		t.places = append(t.places, p)
	}
	return t, nil
}

func isBind(m specs.Mount) bool {
	return m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

func (t *tree) close() { t.root.Close() }

// place returns the mount that a path without links lies in.
func (t *tree) place(name string) (place, bool) {
	for _, p := range slices.Backward(t.places) {
		if name == p.at || strings.HasPrefix(name, strings.TrimSuffix(p.at, "/")+"/") {
			return p, true
		}
	}
	return place{}, false
}

// onTheWay reports whether a mount lies below name: the low-level runtime makes
// the folders that lead to it.
func (t *tree) onTheWay(name string) bool {
	return slices.ContainsFunc(t.places, func(p place) bool { return strings.HasPrefix(p.at, strings.TrimSuffix(name, "/")+"/") })
}

// within runs f on the folder that holds name, with name relative to it.
func (t *tree) within(name string, f func(r *os.Root, rel string) error) error {
	p, mounted := t.place(name)
	if !mounted {
		return f(t.root, relative(name, "/"))
	}
	if p.source == "" {
		return errUnseen
	}
	info, err := os.Stat(p.source)
	if err != nil {
		return errUnseen // the low-level runtime may make it, or complain
	}
	if !info.IsDir() {
		if name != p.at {
			return syscall.ENOTDIR
		}
		dir, err := os.OpenRoot(path.Dir(p.source))
		if err != nil {
			return err
		}
		defer dir.Close()
		return f(dir, path.Base(p.source))
	}
	r, err := os.OpenRoot(p.source)
	if err != nil {
		return err
	}
	defer r.Close()
	return f(r, relative(name, p.at))
}

func relative(name, base string) string {
	rel := strings.TrimPrefix(strings.TrimPrefix(name, base), "/")
	if rel == "" {
		return "."
	}
	return rel
}

// resolve follows every symbolic link of name, inside the container only. With
// loose, what is missing stays as it is named.
func (t *tree) resolve(name string, loose bool) (string, error) {
	at, links := "/", 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		info, target, err := t.look(next)
		switch {
		case errors.Is(err, fs.ErrNotExist) && (loose || t.onTheWay(next)):
			at = next
			continue
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", syscall.ELOOP
			}
			if path.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		case !info.IsDir() && len(rest) > 0:
			return "", syscall.ENOTDIR
		}
		at = next
	}
	return at, nil
}

// look examines a path whose folder has no links left.
func (t *tree) look(name string) (info fs.FileInfo, target string, err error) {
	err = t.within(name, func(r *os.Root, rel string) (err error) {
		if p, ok := t.place(name); ok && name == p.at {
			// What is mounted is what its source leads to.
			info, err = os.Stat(p.source)
			return err
		}
		if info, err = r.Lstat(rel); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			target, err = r.Readlink(rel)
		}
		return err
	})
	return info, target, err
}

// open opens a regular file that resolve has found.
func (t *tree) open(name string) (f *os.File, err error) {
	err = t.within(name, func(r *os.Root, rel string) error {
		if p, ok := t.place(name); ok && name == p.at {
			f, err = os.OpenFile(p.source, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		} else {
			f, err = r.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		}
		return err
	})
	return f, err
}
