package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/runtime"
)

// poststop ends what is left of a monitored container and removes its folder.
// It waits for the followers, so that the engine can unmount their files.
func poststop(p *control.Plan, _ *specs.State) error {
	told := tellStopped(p)
	if told != nil {
		// A supervisor that is gone or hangs must not hold followers.
		if err := killSupervisor(p); err != nil {
			return errors.Join(told, err)
		}
	}
	return runtime.Discard(p)
}

func tellStopped(p *control.Plan) error {
	c, err := control.Dial(p.Container)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Stopped(context.Background())
}

func supervisorFile(p *control.Plan) string { return filepath.Join(p.Dir(), "supervisor.json") }

// remember notes the supervisor's process for poststop.
func remember(p *control.Plan, pid int) error {
	id, err := control.IdentifyProcess(pid)
	if err != nil {
		return fmt.Errorf("note its process: %w", err)
	}
	data, err := json.Marshal(id)
	if err == nil {
		err = os.WriteFile(supervisorFile(p), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note its process: %w", err)
	}
	return nil
}

// killSupervisor ends the supervisor that remember noted, if it is still that
// process.
func killSupervisor(p *control.Plan) error {
	data, err := os.ReadFile(supervisorFile(p))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var noted control.ProcessID
	if err == nil {
		err = json.Unmarshal(data, &noted)
	}
	if err == nil && noted.Pid <= 1 {
		err = fmt.Errorf("pid %d", noted.Pid)
	}
	if err != nil {
		return fmt.Errorf("find the supervisor of container %s: %s: %w", p.Container, supervisorFile(p), err)
	}
	fd, err := unix.PidfdOpen(noted.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end the supervisor of container %s: %w", p.Container, err)
	}
	defer unix.Close(fd)
	// The descriptor is open: from here on the number cannot be reused.
	if now, err := control.IdentifyProcess(noted.Pid); err != nil || now != noted {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end the supervisor of container %s: %w", p.Container, err)
	}
	return nil
}
