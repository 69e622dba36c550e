package preflight

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

const (
	maxUnpacked = 8 << 30 // bytes of programs and libraries
	maxEntries  = 4 << 20
)

// unpacker puts the layers of an image over each other: links, and of files those that can be programs or libraries. Nothing
// gets an owner or a setuid bit, and nothing goes out of its folder.
type unpacker struct {
	top     *os.Root
	setuid  map[string]bool
	bytes   int64
	entries int
}

func newUnpacker(dir string) (*unpacker, error) {
	top, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &unpacker{top: top, setuid: map[string]bool{}}, nil
}

func (u *unpacker) close() { _ = u.top.Close() } // a folder that is removed next

// layer unpacks one layer and checks its digest.
func (u *unpacker) layer(file, digest string) error {
	f, err := openRegular(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	all := io.TeeReader(f, sum)
	if err := u.stream(all); err != nil {
		return fmt.Errorf("unpack the layer %s: %w", digest, err)
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return fmt.Errorf("unpack the layer %s: %w", digest, err)
	}
	if "sha256:"+hex.EncodeToString(sum.Sum(nil)) != digest {
		return fmt.Errorf("the layer %s is not what its name says: copy the image again", digest)
	}
	return nil
}

func (u *unpacker) stream(in io.Reader) error {
	buffered := bufio.NewReaderSize(in, 1<<16)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var plain io.Reader = buffered
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		defer z.Close()
		plain = z
	case string(magic) == "\x28\xb5\x2f\xfd":
		return errors.New("it is compressed with zstd: copy the image with skopeo copy --dest-compress-format gzip first")
	}
	entries := tar.NewReader(plain)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if u.entries++; u.entries > maxEntries {
			return fmt.Errorf("more than %d files", maxEntries)
		}
		if err := u.entry(h, entries); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if name == "" {
		return nil
	}
	dir, base := path.Dir(name), path.Base(name)
	switch {
	case base == opaque:
		if err := u.remove(dir); err != nil {
			return err
		}
		return u.top.MkdirAll(dir, 0o700)
	case strings.HasPrefix(base, whiteout):
		return u.remove(path.Join(dir, strings.TrimPrefix(base, whiteout)))
	}
	if h.Typeflag == tar.TypeDir {
		if info, err := u.top.Lstat(name); err == nil && info.IsDir() {
			return nil
		}
	}
	if err := u.top.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := u.remove(name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.top.Mkdir(name, 0o700)
	case tar.TypeSymlink:
		return u.top.Symlink(h.Linkname, name)
	case tar.TypeLink:
		target := strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		err := u.top.Link(target, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // to a file that is of no interest
		}
		u.setuid[name] = u.setuid[target]
		return err
	case tar.TypeReg:
		return u.file(name, h, content)
	}
	return nil
}

// remove forgets what is at name.
func (u *unpacker) remove(name string) error {
	delete(u.setuid, name)
	if name == "." {
		return errors.New("it would remove the whole root")
	}
	return u.top.RemoveAll(name)
}

func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	mode := h.FileInfo().Mode()
	if mode&0o111 == 0 && !strings.Contains(path.Base(name), ".so") {
		return nil
	}
	if u.bytes += h.Size; u.bytes > maxUnpacked {
		return fmt.Errorf("the image holds more than %d bytes of programs", int64(maxUnpacked))
	}
	if mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		u.setuid[name] = true
	}
	f, err := u.top.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.Perm()&0o111|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
