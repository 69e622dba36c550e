package dockerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// sharedFolders are those that dockerd and containerd's shims make outside of any folder they are given; deepest first.
var sharedFolders = []string{"/run/docker/plugins", "/run/docker", "/run/containerd/s", "/run/containerd"}

// missing are those of the folders that do not exist.
func missing(folders []string) []string {
	return slices.DeleteFunc(slices.Clone(folders), exists)
}

func (d *Daemon) removeContainers(ctx context.Context) error {
	out, err := d.Docker(ctx, "ps", "--all", "--quiet").Output()
	if err != nil {
		return fmt.Errorf("listing the containers: %w", err)
	}
	ids := strings.Fields(string(out))
	if len(ids) == 0 {
		return nil
	}
	if out, err := d.Docker(ctx, append([]string{"rm", "--force"}, ids...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("removing the containers: %w\n%s", err, out)
	}
	return nil
}

// clean removes what the daemons leave: mounts below their folder, their cgroups, folders that did not exist before, and the
// folder itself.
func (d *Daemon) clean() error {
	if err := unmountBelow(d.dir); err != nil {
		return err
	}
	// A controller's cgroups are in a hierarchy each where cgroups are v1, in one where they are v2.
	cgroups, err := filepath.Glob("/sys/fs/cgroup/*/" + d.cgroup)
	if err != nil {
		return err
	}
	var failures []error
	for _, cgroup := range append(cgroups, "/sys/fs/cgroup/"+d.cgroup) {
		if err := os.Remove(cgroup); err != nil && !errors.Is(err, os.ErrNotExist) {
			failures = append(failures, fmt.Errorf("removing a cgroup: %w", err))
		}
	}
	for _, folder := range d.made {
		// Somebody else may use it by now: then it is not empty, and stays.
		_ = os.Remove(folder)
	}
	return errors.Join(append(failures, os.RemoveAll(d.dir))...)
}

// unmountBelow unmounts everything below dir, the latest mount first.
func unmountBelow(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	const mountPoint = 4
	lines := strings.Split(string(table), "\n")
	slices.Reverse(lines)
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) <= mountPoint || !strings.HasPrefix(fields[mountPoint], dir+"/") {
			continue
		}
		if err := syscall.Unmount(fields[mountPoint], syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", fields[mountPoint], err)
		}
	}
	return nil
}
