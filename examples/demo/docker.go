package main

import (
	"context"
	"fmt"
	"os"
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

func (e *dockerEngine) start(ctx context.Context, c container, output *os.File) (<-chan int, error) {
	if !e.loaded[c.image.Name] {
		if err := e.load(ctx, c); err != nil {
			return nil, err
		}
		e.loaded[c.image.Name] = true
	}
	arguments := []string{"run", "--rm", "--name", c.id, "--network", "host"}
	if c.variants > 0 {
		arguments = append(arguments, "--runtime=monmod", "-e", "MONMOD_VARIANTS="+strconv.Itoa(c.variants), "-e", "MONMOD_GROUP="+c.group)
	}
	for name, value := range c.env {
		arguments = append(arguments, "-e", name+"="+value)
	}
	arguments = append(append(arguments, c.image.Name), c.args...)

	// In the foreground, so that the client ends with the container's exit code; it is ended by way of the container.
	run := detach(e.daemon.Docker(context.WithoutCancel(ctx), arguments...))
	run.Stdout, run.Stderr = output, output
	tell("$ %s", shown(run))
	if err := run.Start(); err != nil {
		return nil, err
	}
	exited := make(chan int, 1)
	go func() {
		_ = run.Wait() // how it ended is read from the state
		exited <- exitCode(run.ProcessState)
	}()
	return exited, nil
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

// end asks for the container's end. What Docker answers does not matter: a container that has ended is being removed already,
// because of --rm, and close removes and reports whatever is left.
func (e *dockerEngine) end(ctx context.Context, c container) error {
	_ = e.daemon.Docker(ctx, "stop", "--time", fmt.Sprint(int(graceLimit.Seconds())), c.id).Run()
	return nil
}

func (e *dockerEngine) close() error { return e.daemon.Stop() }
