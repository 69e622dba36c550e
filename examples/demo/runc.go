package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/ociimage"
)

// runcEngine runs bundles by an OCI runtime directly: runc where a container is unmonitored, monmod-runtime where it is not.
type runcEngine struct {
	dir     string
	runtime string
	root    string // state of the runtime, of the demo alone
}

func newRunc(dir, runtime string) (*runcEngine, error) {
	// A container's first process outlives the runtime that started it. Whoever wants its exit code, as an engine does, has
	// to become its parent then.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("becoming the parent of containers: %w", err)
	}
	return &runcEngine{dir: dir, runtime: runtime, root: filepath.Join(dir, "runc")}, nil
}

func (*runcEngine) name() string { return "runc" }

func (e *runcEngine) start(ctx context.Context, c container, output *os.File) (<-chan int, error) {
	bundle, err := e.bundle(ctx, c)
	if err != nil {
		return nil, err
	}
	// Not interrupted half-way: what it started would be without an owner.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startLimit)
	defer cancel()
	pidFile := filepath.Join(e.dir, c.id, "pid")
	run := e.call(ctx, c, "run", "--detach", "--pid-file", pidFile, "--bundle", string(bundle), c.id)
	run.Stdout, run.Stderr = output, output
	tell("$ %s", shown(run))
	if err := run.Run(); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading the process ID that the runtime wrote: %w", err)
	}
	first, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	exited := make(chan int, 1)
	go func() {
		if state, err := first.Wait(); err == nil {
			exited <- exitCode(state)
		}
	}()
	return exited, nil
}

// bundle makes the container's bundle.
func (e *runcEngine) bundle(ctx context.Context, c container) (ociimage.Bundle, error) {
	dir := filepath.Join(e.dir, c.id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	layout, err := c.image.Write(ctx, dir)
	if err != nil {
		return "", err
	}
	bundle, err := layout.Unpack(ctx, filepath.Join(dir, "bundle"))
	if err != nil {
		return "", err
	}
	return bundle, bundle.Edit(func(s *specs.Spec) { configure(s, c) })
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
		ociimage.Annotate("io.monmod.group", c.group)(s)
	}
}

// call is a command of the runtime that runs the container.
func (e *runcEngine) call(ctx context.Context, c container, arguments ...string) *exec.Cmd {
	binary := "runc"
	if c.variants > 0 {
		binary = e.runtime
	}
	return detach(exec.CommandContext(ctx, binary, append([]string{"--root", e.root}, arguments...)...))
}

func (e *runcEngine) end(ctx context.Context, c container) error {
	if _, err := os.Stat(filepath.Join(e.root, c.id)); err != nil {
		return nil
	}
	// What it answers does not matter: the container may have ended, and what does not end now is ended below.
	_ = e.call(ctx, c, "kill", c.id, "TERM").Run()
	for limit := time.Now().Add(graceLimit); time.Now().Before(limit) && !e.stopped(ctx, c); {
		time.Sleep(20 * time.Millisecond)
	}
	return quiet(e.call(ctx, c, "delete", "--force", c.id))
}

// stopped asks the runtime whether the container has ended.
func (e *runcEngine) stopped(ctx context.Context, c container) bool {
	var state specs.State
	out, err := e.call(ctx, c, "state", c.id).Output()
	return err == nil && json.Unmarshal(out, &state) == nil && state.Status == specs.StateStopped
}

func (*runcEngine) close() error { return nil }
