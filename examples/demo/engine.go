package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/monmod/monmod/examples/vulnerable/exploit"
	"github.com/monmod/monmod/internal/ociimage"
)

const (
	startLimit = 30 * time.Second
	endLimit   = 20 * time.Second
	graceLimit = 5 * time.Second // between asking a container to end and ending it
)

// container is what an engine is asked to run.
type container struct {
	id       string
	image    ociimage.Image
	variants int               // 0: unmonitored
	args     []string          // in the place of the image's command
	env      map[string]string // beside the image's
	program  string            // file name of the program in it
	port     int               // where it listens, on the host's loopback
}

// engine starts containers.
type engine interface {
	name() string
	// command is what a person would type to run the container in the foreground; the image has been made known before.
	command(ctx context.Context, c container) (*exec.Cmd, error)
	// end ends the container, by force where needed, and removes it. One that has ended by itself is no error.
	end(ctx context.Context, c container) error
	// close ends the engine itself.
	close() error
}

func newEngine(ctx context.Context, name, dir, runtime string) (engine, error) {
	switch name {
	case "runc":
		return newRunc(dir, runtime), nil
	case "docker":
		return newDocker(ctx, dir, runtime)
	}
	return nil, fmt.Errorf("there is no engine %q: say runc or docker", name)
}

// running is a container that was started.
type running struct {
	container
	engine engine
	cmd    *exec.Cmd
	output bytes.Buffer // complete once ended is closed
	ended  chan struct{}
}

// start starts a container and waits until its program listens.
func (d *demo) start(ctx context.Context, c container) (*running, error) {
	cmd, err := d.engine.command(ctx, c)
	if err != nil {
		return nil, err
	}
	r := &running{container: c, engine: d.engine, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &r.output, &r.output
	// A Ctrl-C is for the demo, which then ends the container in good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endLimit
	tell("$ %s", shown(cmd))
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %v: %w", cmd.Args, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is read from cmd.ProcessState
		close(r.ended)
	}()
	if err := r.waitListening(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func (r *running) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// waitListening looks at the kernel's table and connects to nothing: the program's first client is the demo's own.
func (r *running) waitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		if _, err := exploit.FindServer(r.address(), r.program); err == nil {
			return nil
		}
		select {
		case <-r.ended:
			return fmt.Errorf("the container %s ended with %d before it listened:\n%s", r.id, r.exitCode(), r.output.Bytes())
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s listens on %s: %w", r.program, r.address(), ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// wait waits until the container has ended by itself, and returns its exit code as a shell shows it.
func (r *running) wait(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	select {
	case <-r.ended:
		return r.exitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the end of %s: %w", r.id, ctx.Err())
	}
}

func (r *running) exitCode() int {
	if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return r.cmd.ProcessState.ExitCode()
}

// stop ends and removes the container, also when the demo itself was interrupted.
func (r *running) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	if err := r.engine.end(ctx, r.container); err != nil {
		return fmt.Errorf("ending %s: %w", r.id, err)
	}
	_, err := r.wait(ctx)
	return err
}

// quiet runs a command whose output is of interest only when it fails.
func quiet(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", shown(cmd), err, out)
	}
	return nil
}

// shown is a command line as it is shown to people.
func shown(cmd *exec.Cmd) string {
	return strings.Join(cmd.Args, " ")
}

// freePort is a port of the loopback that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
