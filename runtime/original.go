package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/monmod/monmod/internal/control"
)

// A bundle that somebody wrote by hand is used again, with other runtimes too. So
// a container's end gives its specification back as it was; engines remove theirs.
// Until then the original lies beside it, under the digest of what it became: so
// it outlives a power cut, and two containers of one bundle have the same one.

// before is where the specification at path lies as it was before it became the
// bytes with that digest.
func before(path, sum string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-before-"+sum)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readOriginal reads a specification as it was before it was rewritten, if it
// was. Containers of the same bundle may start and end meanwhile.
func readOriginal(path string) ([]byte, error) {
	for range 100 {
		data, err := readSpec(path)
		if err != nil {
			return nil, err
		}
		old, err := readSpec(before(path, digest(data)))
		if !errors.Is(err, fs.ErrNotExist) {
			return old, err
		}
		// What was read may have been given back since, and its original removed.
		if again, err := readSpec(path); err != nil || bytes.Equal(again, data) {
			return data, err
		}
	}
	return nil, fmt.Errorf("read %s: it changes all the time: create containers from bundles of their own", path)
}

func readSpec(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSpec+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// keepOriginal puts the specification as it was aside, on the disk before it is
// rewritten, and notes what it becomes.
func keepOriginal(p *control.Plan, b *Bundle, rewritten []byte) error {
	dir, err := realPath(filepath.Dir(b.Path))
	if err != nil {
		return fmt.Errorf("keep the specification as it was: %w", err)
	}
	p.Spec, p.Rewritten = filepath.Join(dir, filepath.Base(b.Path)), digest(rewritten)
	f, err := os.OpenFile(before(p.Spec, p.Rewritten), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep the specification as it was: %w", err)
	}
	_, err = f.Write(b.data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep the specification as it was: %w", err)
	}
	return nil
}

// giveBack undoes the rewriting, where nobody has written the specification
// since. The caller holds the lock of the state folder. What another container's
// creator may yet read stays rewritten: as it was it would start unmonitored.
func giveBack(p *control.Plan) error {
	now, err := readSpec(p.Spec)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the engine has removed it
	}
	var old []byte
	if err == nil {
		old, err = readSpec(before(p.Spec, digest(now)))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Somebody has replaced it, or it is as it was.
		err = os.Remove(before(p.Spec, p.Rewritten))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	case err == nil && wanted(p):
		return nil // the other one's end gives it back
	case err == nil:
		if err = store(p.Spec, old); err == nil {
			err = forgetOriginals(p.Spec, "")
		}
	}
	if err != nil {
		return fmt.Errorf("give %s back as it was: %w", p.Spec, err)
	}
	return nil
}

// wanted reports whether another container is being created from the bundle.
func wanted(p *control.Plan) bool {
	entries, err := os.ReadDir(control.ContainersDir())
	if err != nil {
		return true
	}
	for _, e := range entries {
		if e.Name() == p.Container {
			continue
		}
		if other, err := control.LoadPlan(e.Name()); err == nil && other.Spec == p.Spec && other.Creator.Alive() {
			return true
		}
	}
	return false
}

// forgetOriginals removes what was put aside beside the specification at path,
// but for what became the bytes with the digest kept.
func forgetOriginals(path, kept string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	prefix := filepath.Base(before(path, ""))
	for _, e := range entries {
		if sum, ok := strings.CutPrefix(e.Name(), prefix); ok && sum != kept {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(path), e.Name())))
		}
	}
	return err
}
