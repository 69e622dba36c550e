package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
)

// abandoned is how old a container's folder must be before it is taken for one
// whose container was never made: engines give up long before.
const abandoned = 10 * time.Minute

// lockState keeps other runtimes of this host from claiming or sweeping.
func lockState() (unlock func(), err error) {
	if err := os.MkdirAll(control.ContainersDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	path := filepath.Join(control.StateDir(), "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// claim makes the container's folder. The remains of an earlier container of
// that name are removed, a living one is respected.
func claim(p *control.Plan) error {
	if exists(p.Root, p.Container) {
		return fmt.Errorf("container with ID %s already exists: delete it first, or choose another ID", p.Container)
	}
	err := os.Mkdir(p.Dir(), 0o700)
	if errors.Is(err, fs.ErrExist) {
		if old, err := control.LoadPlan(p.Container); err == nil && old.Creator.Alive() {
			return fmt.Errorf("container with ID %s is being created by process %d: wait for its end, or choose another ID", p.Container, old.Creator.Pid)
		}
		if inUse(p.Container) {
			return fmt.Errorf("a monitored container with ID %s exists in another engine or state folder: delete it first, or choose another ID", p.Container)
		}
		left := discard(p.Container)
		if err = os.Mkdir(p.Dir(), 0o700); err != nil && left != nil {
			return left
		}
	}
	if err != nil {
		return fmt.Errorf("make the folder of container %s: %w", p.Container, err)
	}
	return nil
}

// inUse reports whether a supervisor answers for the container, its low-level
// runtime has it, or is about to: it starts from what stands in config.json.
func inUse(id string) bool {
	if c, err := control.Dial(id); err == nil {
		c.Close()
		return true
	}
	p, err := control.LoadPlan(id)
	return err == nil && (p.Creator.Alive() || exists(p.Root, id))
}

// sweep removes what containers left that were planned and then never made:
// no hook ever ran for them.
func sweep() {
	entries, err := os.ReadDir(control.ContainersDir())
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < abandoned || inUse(e.Name()) {
			continue
		}
		_ = discard(e.Name()) // tried again next time
	}
}

// Discard removes everything that is left of a monitored container whose
// supervisor is gone: its followers and its folder, and what was made of its
// bundle. The folder stays for the next attempt while a follower does. A
// container that has taken its place since is left alone.
func Discard(p *control.Plan) error {
	unlock, err := lockState()
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := control.LoadPlan(p.Container); err != nil || now.Name() != p.Name() {
		return nil
	}
	return discard(p.Container)
}

// discard is Discard for a caller that holds the lock, of whatever has the ID.
func discard(id string) error {
	if err := control.CheckID(id); err != nil {
		return err
	}
	var given error
	if p, err := control.LoadPlan(id); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		var all error
		for _, f := range Followers(p) {
			all = errors.Join(all, f.Stop(ctx))
		}
		if all != nil {
			return all
		}
		given = giveBack(p)
	}
	if err := os.RemoveAll(control.ContainerDir(id)); err != nil {
		return fmt.Errorf("remove the folder of container %s: %w", id, err)
	}
	return given
}
