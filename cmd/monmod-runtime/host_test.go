package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/control"
)

// TestMain lets this one file be all three programs, by the name it is started
// under: monmod-runtime, its monmod, and the tests.
func TestMain(m *testing.M) {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	switch filepath.Base(exe) {
	case "monmod-runtime":
		main()
	case "monmod":
		if err := superviseForTest(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// host is an installation of its own: programs in bin, bundles beside it.
type host struct {
	t       *testing.T
	dir     string
	runtime string
	root    string
}

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: containers")
	}
	h := &host{t: t, dir: t.TempDir()}
	h.runtime, h.root = filepath.Join(h.dir, "bin/monmod-runtime"), filepath.Join(h.dir, "state")
	h.must(os.Mkdir(filepath.Join(h.dir, "bin"), 0o755))
	for _, name := range []string{"monmod-runtime", "monmod"} {
		h.copy("/proc/self/exe", filepath.Join(h.dir, "bin", name))
	}
	return h
}

// library compiles the launcher in the library's place.
func (h *host) library() *host {
	h.t.Helper()
	out, err := exec.Command("gcc", "-static-pie", "-O1", "-o", filepath.Join(h.dir, "bin/libmonmod.so"), "testdata/launcher.c").CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	return h
}

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) copy(from, to string) {
	h.t.Helper()
	in, err := os.Open(from)
	h.must(err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	h.must(err)
	_, err = io.Copy(out, in)
	h.must(errors.Join(err, out.Close()))
}

// bundle makes a container of busybox that runs a script; edit changes its
// specification.
func (h *host) bundle(script string, edit func(spec map[string]any)) string {
	h.t.Helper()
	dir, err := os.MkdirTemp(h.dir, "bundle")
	h.must(err)
	h.must(os.MkdirAll(filepath.Join(dir, "rootfs/bin"), 0o755))
	h.copy("/usr/bin/busybox", filepath.Join(dir, "rootfs/bin/busybox"))
	for _, name := range []string{"sh", "sleep", "echo", "cat", "touch", "ls"} {
		h.must(os.Symlink("busybox", filepath.Join(dir, "rootfs/bin", name)))
	}
	h.must(os.WriteFile(filepath.Join(dir, "rootfs/bin/data"), nil, 0o644))
	out, err := exec.Command("runc", "spec", "--bundle", dir).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	h.must(err)
	spec := map[string]any{}
	h.must(json.Unmarshal(data, &spec))
	process := spec["process"].(map[string]any)
	process["terminal"], process["args"] = false, []string{"sh", "-c", script}
	process["env"] = []string{"PATH=/bin"}
	if edit != nil {
		edit(spec)
	}
	data, err = json.MarshalIndent(spec, "", "  ")
	h.must(err)
	h.must(os.WriteFile(path, data, 0o644))
	return dir
}

// asking makes a specification ask for two variants.
func asking(spec map[string]any) {
	spec["annotations"] = map[string]string{"io.monmod.variants": "2"}
}

func arguments(args ...string) func(map[string]any) {
	return func(spec map[string]any) {
		asking(spec)
		spec["process"].(map[string]any)["args"] = args
	}
}

// name is a container's ID that no other test has.
func (h *host) name(suffix string) string {
	id := fmt.Sprintf("mm-test-%d-%s", os.Getpid(), suffix)
	h.t.Cleanup(func() { _ = exec.Command(h.runtime, "--root", h.root, "delete", "--force", id).Run() })
	return id
}

type result struct {
	code           int
	stdout, stderr string
}

// run runs the wrapper as an engine does, with files for stdout and stderr: a
// pipe would be held open by the container.
func (h *host) run(args ...string) result {
	h.t.Helper()
	return h.runWith(nil, args...)
}

func (h *host) runWith(stdin io.Reader, args ...string) result {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.runtime, append([]string{"--root", h.root}, args...)...)
	cmd.Stdin = stdin
	var files [2]*os.File
	for i := range files {
		f, err := os.CreateTemp(h.dir, "out")
		h.must(err)
		defer f.Close()
		files[i] = f
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	r := result{code: cmd.ProcessState.ExitCode()}
	for i, to := range []*string{&r.stdout, &r.stderr} {
		data, err := os.ReadFile(files[i].Name())
		h.must(err)
		*to = string(data)
	}
	return r
}

// nothingLeft fails where a container left something on the host.
func (h *host) nothingLeft(id string) {
	h.t.Helper()
	if _, err := os.Stat(control.ContainerDir(id)); !errors.Is(err, os.ErrNotExist) {
		h.t.Errorf("%s is left: %v", control.ContainerDir(id), err)
	}
	for _, root := range []string{h.root, control.FollowersRoot()} {
		if left, _ := filepath.Glob(filepath.Join(root, id+"*")); len(left) > 0 {
			h.t.Errorf("%v are left", left)
		}
	}
}
