package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/monmod/monmod/internal/dockerd"
)

// dockerEngine runs images by a Docker daemon of the demo's own.
type dockerEngine struct {
	dir    string
	daemon *dockerd.Daemon
	loaded map[string]bool // by the image's name
}

func newDocker(ctx context.Context, dir, runtime string) (*dockerEngine, error) {
	daemon, err := dockerd.Start(ctx, map[string]string{"monmod": runtime})
	if err != nil {
		return nil, err
	}
	return &dockerEngine{dir: dir, daemon: daemon, loaded: map[string]bool{}}, nil
}

func (*dockerEngine) name() string { return "docker" }

func (e *dockerEngine) command(ctx context.Context, c container) (*exec.Cmd, error) {
	if !e.loaded[c.image.Name] {
		if err := e.load(ctx, c); err != nil {
			return nil, err
		}
		e.loaded[c.image.Name] = true
	}
	arguments := []string{"run", "--rm", "--name", c.id, "--network", "host"}
	if c.variants > 0 {
		arguments = append(arguments, "--runtime=monmod", "-e", "MONMOD_VARIANTS="+strconv.Itoa(c.variants))
	}
	for name, value := range c.env {
		arguments = append(arguments, "-e", name+"="+value)
	}
	arguments = append(append(arguments, c.image.Name), c.args...)
	return e.daemon.Docker(ctx, arguments...), nil
}

func (e *dockerEngine) load(ctx context.Context, c container) error {
	dir := filepath.Join(e.dir, c.id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	layout, err := c.image.Write(ctx, dir)
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, "image.tar")
	if err := layout.Archive(ctx, c.image.Name, archive); err != nil {
		return err
	}
	return e.daemon.Load(ctx, archive)
}

func (e *dockerEngine) end(ctx context.Context, c container) error {
	out, err := e.daemon.Docker(ctx, "ps", "--quiet", "--filter", "name=^"+c.id+"$").Output()
	if err != nil {
		return fmt.Errorf("asking Docker for %s: %w", c.id, err)
	}
	if len(out) == 0 {
		return nil
	}
	return quiet(e.daemon.Docker(ctx, "stop", "--time", fmt.Sprint(int(graceLimit.Seconds())), c.id))
}

func (e *dockerEngine) close() error { return e.daemon.Stop() }
