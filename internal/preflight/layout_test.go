package preflight

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// imageDir is an image layout that a test writes by hand.
type imageDir struct {
	t   *testing.T
	dir string
}

func newImage(t *testing.T) imageDir {
	t.Helper()
	i := imageDir{t, t.TempDir()}
	if err := os.MkdirAll(filepath.Join(i.dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i imageDir) blob(data []byte) map[string]any {
	i.t.Helper()
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:])
	write(i.t, filepath.Join(i.dir, "blobs/sha256", name), string(data), 0o644)
	return map[string]any{"digest": "sha256:" + name}
}

func (i imageDir) json(v any) map[string]any {
	i.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.blob(data)
}

// put makes the layers the image of a tag.
func (i imageDir) put(arch string, config map[string]any, layers ...map[string]any) {
	i.t.Helper()
	m := i.json(map[string]any{"config": i.json(map[string]any{"os": "linux", "architecture": arch, "config": config}), "layers": layers})
	m["annotations"] = map[string]string{tagKey: "1"}
	data, err := json.Marshal(map[string]any{"manifests": []any{m}})
	if err != nil {
		i.t.Fatal(err)
	}
	write(i.t, filepath.Join(i.dir, "index.json"), string(data), 0o644)
}

func archive(t *testing.T, headers ...*tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := h.PAXRecords["content"]
		h.PAXRecords, h.Size = nil, int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func file(name string, mode int64, content string) *tar.Header {
	return &tar.Header{Name: name, Mode: mode, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"content": content}}
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestLayers puts layers over each other: replaced, deleted and linked files, and names that lead out.
func TestLayers(t *testing.T) {
	i := newImage(t)
	program := string(mustRead(t, filepath.Join(fill(t), "bin/static")))
	outside := filepath.Join(t.TempDir(), "outside")
	first := archive(t,
		file("bin/tool", 0o755, "#!/bin/none\n"),
		file("bin/gone", 0o755, program),
		file("old/a", 0o755, program),
		file("etc/words", 0o644, "not a program"),
		&tar.Header{Name: "up", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(outside)},
	)
	second := archive(t,
		file("bin/tool", 0o4755, program),
		file("bin/.wh.gone", 0o644, ""),
		file("old/.wh..wh..opq", 0o644, ""),
		&tar.Header{Name: "bin/other", Typeflag: tar.TypeLink, Linkname: "bin/tool"},
		&tar.Header{Name: "bin/words", Typeflag: tar.TypeLink, Linkname: "etc/words"},
		&tar.Header{Name: "dev/null", Typeflag: tar.TypeChar},
	)
	for _, c := range []struct {
		program string
		want    string // "" is a program that runs
	}{
		{"tool", "probably not: it changes its user"},
		{"other", "probably not: it changes its user"},
		{"gone", "certainly not: there is no such program"},
		{"/old/a", "certainly not: there is no such program"},
		{"words", "certainly not: there is no such program"},
	} {
		i.put("amd64", map[string]any{"Env": []string{"PATH=/bin"}, "Entrypoint": []string{c.program}}, i.blob(first), i.blob(zipped(t, second)))
		for _, name := range []string{i.dir, i.dir + ":1"} {
			r, err := Layout(name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.HasPrefix(f.Severity.String()+": "+f.Words, c.want) }) {
				t.Errorf("%s: %+v, want %q", c.program, r.Findings, c.want)
			}
		}
	}
	i.put("amd64", map[string]any{"Cmd": []string{"/x"}}, i.blob(first), i.blob(archive(t, file("up/outside", 0o755, "x"), file("../../outside", 0o755, "x"))))
	if _, err := Layout(i.dir); err == nil || !strings.Contains(err.Error(), "up/outside") {
		t.Errorf("a link out of the root: %v", err)
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a layer wrote outside of the root")
	}
}

func TestLayoutRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(i imageDir)
		tag  string
		want string
	}{
		{"nothing", func(imageDir) {}, "", "no OCI image layout"},
		{"other tag", func(i imageDir) { i.put("amd64", nil) }, ":2", `with the tags ["1"]`},
		{"no command", func(i imageDir) { i.put("amd64", nil) }, "", "names no program"},
		{"wrong digest", func(i imageDir) {
			layer := i.blob([]byte("one"))
			write(t, filepath.Join(i.dir, "blobs/sha256", strings.TrimPrefix(layer["digest"].(string), "sha256:")), string(archive(t, file("a", 0o755, "x"))), 0o644)
			i.put("amd64", map[string]any{"Cmd": []string{"x"}}, layer)
		}, "", "not what its name says"},
		{"path as digest", func(i imageDir) {
			i.put("amd64", map[string]any{"Cmd": []string{"x"}}, map[string]any{"digest": "sha256:../../../etc/passwd"})
		}, "", "no sha256 digest"},
		{"zstd", func(i imageDir) {
			i.put("amd64", map[string]any{"Cmd": []string{"x"}}, i.blob([]byte("\x28\xb5\x2f\xfd....")))
		}, "", "dest-compress-format gzip"},
		{"no archive", func(i imageDir) {
			i.put("amd64", map[string]any{"Cmd": []string{"x"}}, i.blob(bytes.Repeat([]byte("x"), 600)))
		}, "", "unpack the layer"},
		{"whole root removed", func(i imageDir) {
			i.put("amd64", map[string]any{"Cmd": []string{"x"}}, i.blob(archive(t, file(".wh..wh..opq", 0o644, ""))))
		}, "", "whole root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newImage(t)
			c.make(i)
			if _, err := Layout(i.dir + c.tag); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
	i := newImage(t)
	i.put("arm64", map[string]any{"Cmd": []string{"x"}})
	if r, err := Layout(i.dir); err != nil || r.Runs() {
		t.Errorf("an image for another processor: %+v, %v", r, err)
	}
}

func FuzzLayer(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add(bytes.Repeat([]byte{0}, 1024))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "root"), 0o755); err != nil {
			t.Fatal(err)
		}
		u, err := newUnpacker(filepath.Join(dir, "root"))
		if err != nil {
			t.Fatal(err)
		}
		defer u.close()
		err = u.stream(bytes.NewReader(data))
		entries, readErr := os.ReadDir(dir)
		if readErr != nil || len(entries) != 1 {
			t.Errorf("it left the root: %v %v (%v)", entries, readErr, err)
		}
	})
}

// TestPipesInPlaceOfFiles: a pipe that nobody writes to, or a device that never ends, is refused wherever a bundle or an image
// has a file, and is not waited for.
func TestPipesInPlaceOfFiles(t *testing.T) {
	pipe := func(name string) {
		t.Helper()
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what, words string, check func() error) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- check() }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s is waited for", what)
		}
	}
	bundle := func(dir string) func() error {
		return func() error { _, err := Bundle(dir); return err }
	}
	image := func(i imageDir) func() error {
		return func() error { _, err := Layout(i.dir); return err }
	}
	const file = "is no regular file: put the file itself there"

	dir := t.TempDir()
	pipe(filepath.Join(dir, "config.json"))
	refused("a configuration that is a pipe", file, bundle(dir))
	if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	link(t, "/dev/zero", filepath.Join(dir, "config.json"))
	refused("a configuration that is a device", file, bundle(dir))
	dir = t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{"process": {"args": ["x"]}}`, 0o600)
	pipe(filepath.Join(dir, "rootfs"))
	refused("a root that is a pipe", "is no folder", bundle(dir))

	i := newImage(t)
	layer := i.blob(archive(t))
	i.put("amd64", map[string]any{"Cmd": []string{"x"}}, layer)
	pipe(filepath.Join(i.dir, "blobs/sha256", strings.TrimPrefix(layer["digest"].(string), "sha256:")))
	refused("a layer that is a pipe", file, image(i))
	pipe(filepath.Join(i.dir, "index.json"))
	refused("an index that is a pipe", file, image(i))
}
