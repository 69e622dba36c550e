package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxSpec bounds a config.json, in bytes.
const maxSpec = 16 << 20

// object is a JSON object whose members are decoded only where they are
// touched, so that members nobody here knows survive as they are.
type object map[string]json.RawMessage

// Bundle is a config.json in two readings of the same bytes: typed to decide
// by, raw to edit.
type Bundle struct {
	Dir  string // absolute
	Path string // of config.json
	Spec specs.Spec
	raw  object
	data []byte // as it was before any rewriting
}

// ReadBundle reads the specification file name of the bundle dir, as it was
// before another container rewrote it.
func ReadBundle(dir, name string) (*Bundle, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the bundle %s: %w", dir, err)
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, name)
	}
	data, err := readOriginal(path)
	if err != nil {
		return nil, err
	}
	b, err := parseBundle(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	b.Dir, b.Path, b.data = dir, path, data
	return b, nil
}

func parseBundle(data []byte) (*Bundle, error) {
	if len(data) > maxSpec {
		return nil, fmt.Errorf("more than %d bytes", maxSpec)
	}
	b := new(Bundle)
	if err := json.Unmarshal(data, &b.Spec); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &b.raw); err != nil {
		return nil, err
	}
	if b.raw == nil {
		return nil, errors.New("there is no object in it")
	}
	return b, nil
}

// plain makes sure that both readings see the same members: the typed one,
// which low-level runtimes use too, takes "Process" for "process".
func (o object) plain(where string, names ...string) error {
	for member := range o {
		for _, name := range names {
			if member != name && strings.EqualFold(member, name) {
				return fmt.Errorf("config.json has %s%q, which differs from %q in capitals: write it in small letters", where, member, name)
			}
		}
	}
	return nil
}

// member decodes the object at name; it is empty where there is none.
func (o object) member(name string) (object, error) {
	m := object{}
	data, ok := o[name]
	if !ok {
		return m, nil
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("config.json: %s: %w", name, err)
	}
	if m == nil {
		m = object{}
	}
	return m, nil
}

// list decodes the array at name; it is empty where there is none.
func (o object) list(name string) ([]json.RawMessage, error) {
	data, ok := o[name]
	if !ok {
		return nil, nil
	}
	var l []json.RawMessage
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("config.json: %s: %w", name, err)
	}
	return l, nil
}

// set encodes v at name.
func (o object) set(name string, v any) error {
	data, err := encode(v)
	if err != nil {
		return fmt.Errorf("config.json: %s: %w", name, err)
	}
	o[name] = data
	return nil
}

// encode is json.Marshal without the escapes that only web pages need.
func encode(v any) (json.RawMessage, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// text decodes a JSON string, "" where it is none.
func text(data json.RawMessage) string {
	var s string
	if json.Unmarshal(data, &s) != nil {
		return ""
	}
	return s
}

// Rootfs is the absolute path of the container's root on the host.
func (b *Bundle) Rootfs() string {
	if b.Spec.Root == nil || b.Spec.Root.Path == "" {
		return filepath.Join(b.Dir, "rootfs")
	}
	return b.absolute(b.Spec.Root.Path)
}

// absolute resolves a path of the specification, which is relative to the bundle.
func (b *Bundle) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(b.Dir, path)
}

// store writes data in place of the file at path: a new file with the old one's
// mode and owner, on the disk before it takes the name.
func store(path string, data []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".config.json-")
	if err != nil {
		return fmt.Errorf("rewrite %s: make a file beside it: %w", path, err)
	}
	defer func() {
		tmp.Close()
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("rewrite %s: its owner cannot be found", path)
	}
	if _, err = tmp.Write(data); err == nil {
		err = errors.Join(tmp.Chown(int(owner.Uid), int(owner.Gid)), tmp.Chmod(info.Mode().Perm()), tmp.Sync())
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", path, err)
	}
	return nil
}
