package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	group    string            // its name where it is monitored
	args     []string          // in the place of the image's command
	env      map[string]string // beside the image's
	program  string            // file name of the program in it
	port     int               // where it listens, on the host's loopback
}

// engine starts containers.
type engine interface {
	name() string
	// start starts the container, its output going to the file. The channel yields its exit code, as a shell shows it, once.
	start(ctx context.Context, c container, output *os.File) (<-chan int, error)
	// end ends the container, by force where needed, and removes it. One that has ended by itself, or has never been, is no
	// error.
	end(ctx context.Context, c container) error
	// close ends the engine itself.
	close() error
}

func newEngine(ctx context.Context, name, dir, runtime string) (engine, error) {
	switch name {
	case "runc":
		return newRunc(dir, runtime)
	case "docker":
		return newDocker(ctx, dir, runtime)
	}
	return nil, fmt.Errorf("there is no engine %q: say runc or docker", name)
}

// running is a container that was started.
type running struct {
	container
	engine engine
	log    string // file of its output
	exited <-chan int
}

// start starts a container and waits until its program listens.
func (d *demo) start(ctx context.Context, c container) (*running, error) {
	c.group = filepath.Base(d.logs)
	r := &running{container: c, engine: d.engine, log: filepath.Join(d.dir, c.id+".log")}
	output, err := os.Create(r.log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	if r.exited, err = d.engine.start(ctx, c, output); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w\n%s", c.id, err, r.output()), r.stop())
	}
	if err := r.waitListening(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func (r *running) output() []byte {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return []byte(err.Error())
	}
	return text
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
		case code := <-r.exited:
			return fmt.Errorf("the container %s ended with %d before it listened:\n%s", r.id, code, r.output())
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
	case code := <-r.exited:
		return code, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the end of %s: %w", r.id, ctx.Err())
	}
}

// stop ends and removes the container, also when the demo itself was interrupted.
func (r *running) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	if err := r.engine.end(ctx, r.container); err != nil {
		return fmt.Errorf("ending %s: %w", r.id, err)
	}
	return nil
}

// exitCode is how a process ended, as a shell shows it: a death by signal n is 128+n.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// detach keeps a Ctrl-C from a command: it is for the demo, which then ends the container in good order.
func detach(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
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
