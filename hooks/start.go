package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/runtime"
)

// startTimeout is how long a supervisor may take until it serves.
const startTimeout = 10 * time.Second

// createRuntime makes sure that the container's supervisor runs, and gives it
// the pid of the container's init. A second call finds it running.
func createRuntime(p *control.Plan, state *specs.State) error {
	if state.Pid <= 0 {
		return fmt.Errorf("start the supervisor of container %s: the state has no pid", p.Container)
	}
	operator, err := config.LoadOperator(config.OperatorFile)
	if err != nil {
		return err
	}
	group, err := p.LoadGroup(operator)
	if err != nil {
		return err
	}
	if err := runtime.CheckBackend(group); err != nil {
		return err
	}
	unlock, err := lock(p)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ping(p); err != nil {
		if err := start(p); err != nil {
			return err
		}
	}
	c, err := control.Dial(p.Container)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Init(context.Background(), state.Pid)
}

// lock keeps a prestart and a createRuntime hook from starting two.
func lock(p *control.Plan) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(p.Dir(), "hook.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock container %s: %w", p.Container, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock container %s: %w", p.Container, err)
	}
	return func() { f.Close() }, nil
}

func ping(p *control.Plan) error {
	c, err := control.Dial(p.Container)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return c.Ping(ctx)
}

// start starts the supervisor and waits until it serves.
func start(p *control.Plan) error {
	self, err := runtime.Self()
	if err != nil {
		return err
	}
	path, err := runtime.FindSupervisor(self)
	if err != nil {
		return err
	}
	logPath := filepath.Join(p.Dir(), control.LogFile)
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start the supervisor of container %s: %w", p.Container, err)
	}
	defer log.Close()
	// The supervisor outlives this process by hours: a descriptor of the
	// low-level runtime that it held would make that one, or the engine, wait.
	if err := unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("start the supervisor of container %s: keep descriptors from it: %w", p.Container, err)
	}
	cmd := exec.Command(path, "supervise", "--container", p.Container)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the supervisor of container %s: %w", p.Container, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = await(p, ended)
	if err == nil {
		err = remember(p, cmd.Process.Pid)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("start the supervisor of container %s: %w%s", p.Container, err, tail(logPath))
	}
	return nil
}

// await waits until the supervisor serves or ends.
func await(p *control.Plan, ended <-chan error) error {
	deadline := time.After(startTimeout)
	for {
		err := ping(p)
		if err == nil {
			return nil
		}
		select {
		case exit := <-ended:
			if exit == nil {
				exit = errors.New("exit status 0")
			}
			return fmt.Errorf("it ended: %w", exit)
		case <-deadline:
			return fmt.Errorf("it does not serve after %s: %w", startTimeout, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// tail is what the supervisor said last, for the engine's error.
func tail(path string) string {
	const most = 2048
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return ""
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	data = bytes.TrimSpace(data)
	if err != nil || len(data) == 0 {
		return ""
	}
	return ": " + string(data)
}
