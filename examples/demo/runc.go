package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/monmod/monmod/internal/ociimage"
)

// runcEngine runs bundles by an OCI runtime directly: runc where a container is unmonitored, monmod-runtime where it is not.
type runcEngine struct {
	dir     string
	runtime string
	root    string // state of the runtime, of the demo alone
}

func newRunc(dir, runtime string) *runcEngine {
	return &runcEngine{dir: dir, runtime: runtime, root: filepath.Join(dir, "runc")}
}

func (*runcEngine) name() string { return "runc" }

func (e *runcEngine) command(ctx context.Context, c container) (*exec.Cmd, error) {
	dir := filepath.Join(e.dir, c.id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	layout, err := c.image.Write(ctx, dir)
	if err != nil {
		return nil, err
	}
	bundle, err := layout.Unpack(ctx, filepath.Join(dir, "bundle"))
	if err != nil {
		return nil, err
	}
	if err := bundle.Edit(func(s *specs.Spec) { configure(s, c) }); err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, e.binary(c), "--root", e.root, "run", "--bundle", string(bundle), c.id), nil
}

// configure makes the bundle's config.json what the container asks for.
func configure(s *specs.Spec, c container) {
	ociimage.HostNetwork(s)
	if c.args != nil {
		s.Process.Args = append(append([]string{}, c.image.Entrypoint...), c.args...)
	}
	for name, value := range c.env {
		ociimage.SetEnv(name, value)(s)
	}
	if c.variants > 0 {
		ociimage.Annotate("io.monmod.variants", strconv.Itoa(c.variants))(s)
	}
}

func (e *runcEngine) binary(c container) string {
	if c.variants > 0 {
		return e.runtime
	}
	return "runc"
}

func (e *runcEngine) end(ctx context.Context, c container) error {
	// A container that has ended is removed by the `run` that started it.
	gone := func() bool {
		_, err := os.Stat(filepath.Join(e.root, c.id))
		return err != nil
	}
	call := func(arguments ...string) error {
		return quiet(exec.CommandContext(ctx, e.binary(c), append([]string{"--root", e.root}, arguments...)...))
	}
	if gone() {
		return nil
	}
	// What it answers does not matter: the container may end at the same moment, and what does not end is ended below.
	_ = call("kill", c.id, "TERM")
	for end := time.Now().Add(graceLimit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if gone() {
			return nil
		}
	}
	return call("delete", "--force", c.id)
}

func (*runcEngine) close() error { return nil }
