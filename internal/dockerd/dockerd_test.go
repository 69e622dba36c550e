package dockerd

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/ociimage"
)

// TestRunsContainers loads an image and runs it with runc under another name, with and without network, and looks for what is
// left behind.
func TestRunsContainers(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	before := missing(sharedFolders)
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Start(ctx, map[string]string{"other": runc})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()

	dir := t.TempDir()
	image := ociimage.Image{
		Name:       "tool:1",
		Programs:   map[string]string{"/bin/env": "/usr/bin/env", "/bin/sleep": "/usr/bin/sleep"},
		Entrypoint: []string{"/bin/env"},
		Env:        []string{"COLOUR=grey"},
	}
	layout, err := image.Write(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "tool.tar")
	if err := layout.Archive(ctx, image.Name, archive); err != nil {
		t.Fatal(err)
	}
	if err := d.Load(ctx, archive); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"none", "host"} {
		out, err := d.Docker(ctx, "run", "--rm", "--runtime", "other", "--network", network, image.Name).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "COLOUR=grey") {
			t.Errorf("network %s: %v\n%s\n%s", network, err, out, d.Log())
		}
	}
	// One that still runs when the daemon is stopped.
	if out, err := d.Docker(ctx, "run", "--detach", "--network", "none", "--entrypoint", "/bin/sleep", image.Name, "1000").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	for range 2 {
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), d.dir) {
		t.Errorf("mounts are left below %s", d.dir)
	}
	if cgroups, _ := filepath.Glob("/sys/fs/cgroup/*/" + d.cgroup); len(cgroups) > 0 || exists(d.dir) {
		t.Errorf("left behind: %v, %s", cgroups, d.dir)
	}
	if after := missing(sharedFolders); len(after) != len(before) {
		t.Errorf("folders that did not exist before are left: missing were %v, are %v", before, after)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		if line, err := os.ReadFile(command); err == nil && strings.Contains(string(line), d.dir) {
			t.Errorf("a process is left: %s %q", command, line)
		}
	}
}

func TestRefusesWhatIsNoRuntime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := Start(ctx, map[string]string{"runc": "/usr/sbin/runc"}) // a name that dockerd reserves
	if err == nil {
		d.Stop()
		t.Fatal("a runtime with a reserved name was accepted")
	}
	if !strings.Contains(err.Error(), "reserved") {
		t.Errorf("the error does not hold dockerd's own words: %v", err)
	}
}
