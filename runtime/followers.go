package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
)

// Follower is a follower container of a plan. Its methods run the low-level
// runtime with a state folder of monmod's own, so that no engine lists it.
type Follower struct {
	control.Follower
	plan *control.Plan
}

// Followers returns the followers that the plan has, in ascending order of ID;
// none where the other variants are elsewhere.
func Followers(p *control.Plan) []Follower {
	all := make([]Follower, len(p.Followers))
	for i, f := range p.Followers {
		all[i] = Follower{Follower: f, plan: p}
	}
	return all
}

// Create makes the follower's container and returns the pid of its init in the
// host's numbering. The program does not run before Start. Its stdin, stdout
// and stderr are /dev/null.
func (f Follower) Create(ctx context.Context) (pid int, err error) {
	pidFile := filepath.Join(f.Bundle, "pid")
	if err := f.run(ctx, nil, "create", "--bundle", f.Bundle, "--pid-file", pidFile, f.Container); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(pidFile)
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	}
	if err == nil && pid <= 0 {
		err = fmt.Errorf("pid %d", pid)
	}
	if err != nil {
		return 0, fmt.Errorf("find the init of follower %d of container %s: %w", f.ID, f.plan.Container, err)
	}
	return pid, nil
}

// Start lets the follower's program run.
func (f Follower) Start(ctx context.Context) error { return f.run(ctx, nil, "start", f.Container) }

// Kill sends a signal to the follower's init.
func (f Follower) Kill(ctx context.Context, signal unix.Signal) error {
	return f.run(ctx, nil, "kill", f.Container, strconv.Itoa(int(signal)))
}

// Pause freezes the follower.
func (f Follower) Pause(ctx context.Context) error { return f.run(ctx, nil, "pause", f.Container) }

// Resume thaws the follower.
func (f Follower) Resume(ctx context.Context) error { return f.run(ctx, nil, "resume", f.Container) }

// Update gives the follower other limits: linux.resources as JSON.
func (f Follower) Update(ctx context.Context, resources json.RawMessage) error {
	return f.run(ctx, resources, "update", "--resources", "-", f.Container)
}

// Stop ends the follower by force, waits for its end and removes its container.
// It is no error if there is none.
func (f Follower) Stop(ctx context.Context) error {
	for exists(control.FollowersRoot(), f.Container) {
		err := f.run(ctx, nil, "delete", "--force", f.Container)
		if !exists(control.FollowersRoot(), f.Container) {
			return nil
		}
		// Being killed takes a moment, and a paused container cannot be.
		_ = f.run(ctx, nil, "resume", f.Container)
		select {
		case <-ctx.Done():
			return errors.Join(err, fmt.Errorf("end follower %d of container %s: %w", f.ID, f.plan.Container, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// run runs the low-level runtime. Its words on failure are in the error.
func (f Follower) run(ctx context.Context, stdin []byte, args ...string) error {
	if err := os.MkdirAll(control.FollowersRoot(), 0o700); err != nil {
		return fmt.Errorf("make the state folder of followers: %w", err)
	}
	log := filepath.Join(f.Bundle, "runtime.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear the log of follower %d: %w", f.ID, err)
	}
	words := append([]string{"--root", control.FollowersRoot(), "--log", log, "--log-format", "json"}, f.plan.Runtime.Args...)
	cmd := exec.CommandContext(ctx, f.plan.Runtime.Path, append(words, args...)...)
	// With files, and not pipes: the container's init inherits them, and Wait
	// would wait for its end.
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%s follower %d: %w", args[0], f.ID, err)
	}
	defer null.Close()
	cmd.Stdout, cmd.Stderr = null, null
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s follower %d of container %s: %s: %w", args[0], f.ID, f.plan.Container, lastError(log), err)
	}
	return nil
}

// lastError is the last error in a log of the low-level runtime.
func lastError(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "it left no log"
	}
	last := "it logged no error"
	for _, line := range bytes.Split(data, []byte("\n")) {
		var e struct{ Level, Msg string }
		if json.Unmarshal(line, &e) == nil && e.Level == "error" {
			last = e.Msg
		}
	}
	return last
}
