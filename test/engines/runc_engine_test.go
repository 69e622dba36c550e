package engines

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/monmod/monmod/internal/ociimage"
	"github.com/monmod/monmod/test/internal/proc"
)

// runc is monmod-runtime over Debian's runc 1.1 without an engine: bundles with annotations. Each container has one bundle,
// in a folder of its name.
type runc struct {
	root string
}

func (*runc) name() string { return "runc" }

// client is a command of the runtime.
func (r *runc) client(args ...string) *exec.Cmd {
	return exec.Command(tests.runtime, append([]string{"--root", r.root}, args...)...)
}

func (*runc) file(id, name string) string { return filepath.Join(tests.dir, id, name) }

// bundle unpacks the image anew for a container. The folder is removed at the test's end.
func (r *runc) bundle(t *testing.T, s spec) ociimage.Bundle {
	t.Helper()
	if err := os.RemoveAll(r.file(s.id, "")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.file(s.id, ""), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(r.file(s.id, "")) })
	b, err := tests.layout.Unpack(context.Background(), r.file(s.id, "bundle"))
	if err == nil {
		err = b.Edit(s.configure)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// configure makes a config.json what the container is to be.
func (s spec) configure(c *specs.Spec) {
	if s.hostNet {
		ociimage.HostNetwork(c)
	}
	if s.args != nil {
		c.Process.Args = s.args
	}
	c.Process.Env = append(c.Process.Env, s.env...)
	c.Root.Readonly = s.readonly
	if s.readonly {
		c.Mounts = append(c.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
	}
	if user, group, ok := strings.Cut(s.user, ":"); ok {
		uid, _ := strconv.Atoi(user)
		gid, _ := strconv.Atoi(group)
		c.Process.User = specs.User{UID: uint32(uid), GID: uint32(gid)}
	}
	if s.data != "" {
		c.Mounts = append(c.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: s.bound(), Options: []string{"bind"}})
	}
	c.Process.Rlimits = nil
	// A host may have a cgroup hierarchy that runc cannot mount into a container.
	c.Mounts = slices.DeleteFunc(c.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Destination, "/sys/fs/cgroup") })
	for key, value := range s.asks {
		ociimage.Annotate("io.monmod."+key, value)(c)
	}
}

func (r *runc) start(t *testing.T, s spec) proc.Result {
	t.Helper()
	return r.run(t, s.id, r.bundle(t, s))
}

// run starts the container of a bundle, flags being the runtime's own.
func (r *runc) run(t *testing.T, id string, b ociimage.Bundle, flags ...string) proc.Result {
	t.Helper()
	return r.bundled(t, id, b, append(flags, "run", "--detach")...)
}

// bundled gives a command of the runtime's a bundle. The container's output goes to a file, which it may hold for ever.
func (r *runc) bundled(t *testing.T, id string, b ociimage.Bundle, args ...string) proc.Result {
	t.Helper()
	out, err := os.Create(r.file(id, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := r.client(append(args, "--bundle", string(b), "--pid-file", r.file(id, "pid"), id)...)
	result, err := proc.Run(proc.Spec{Argv: cmd.Args, Env: cmd.Environ(), Stdout: out, Stderr: out, Deadline: commandLimit})
	if err != nil {
		t.Fatal(err)
	}
	result.Stderr, _ = os.ReadFile(out.Name())
	return result
}

func (r *runc) exec(t *testing.T, id string, args ...string) proc.Result {
	return command(t, r.client(append([]string{"exec", id}, args...)...))
}

func (r *runc) pause(t *testing.T, id string)        { must(t, r.client("pause", id)) }
func (r *runc) resume(t *testing.T, id string)       { must(t, r.client("resume", id)) }
func (r *runc) kill(t *testing.T, id, signal string) { must(t, r.client("kill", id, signal)) }

func (r *runc) stop(t *testing.T, id string, grace time.Duration) {
	must(t, r.client("kill", id, "TERM"))
	for end := time.Now().Add(grace); !r.stopped(t, id); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			must(t, r.client("kill", id, "KILL"))
			return
		}
	}
}

func (r *runc) stopped(t *testing.T, id string) bool {
	return strings.Contains(must(t, r.client("state", id)), `"stopped"`)
}

// wait reaps the container's first process, which fell to this one.
func (r *runc) wait(t *testing.T, id string) int {
	text, err := os.ReadFile(r.file(id, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(number(t, string(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(endLimit, func() { _ = p.Kill() }).Stop()
	state, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

func (r *runc) output(t *testing.T, id string) string {
	out, err := os.ReadFile(r.file(id, "output"))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (r *runc) remove(t *testing.T, id string) {
	if _, err := os.Stat(filepath.Join(r.root, id)); err == nil {
		must(t, r.client("delete", "--force", id))
	}
}
