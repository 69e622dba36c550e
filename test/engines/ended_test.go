package engines

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/supervisor"
)

// TestEnded: between a group's end and the engine's delete its supervisor says how it ended, and nothing is left of followers.
func TestEnded(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(t *testing.T, id string, follower supervisor.VariantStatus)
		code   int
		reason string
	}{
		{"itself", func(t *testing.T, id string, _ supervisor.VariantStatus) { tests.runc.kill(t, id, "TERM") }, 0, "the program ended"},
		{"diverged", func(t *testing.T, _ string, follower supervisor.VariantStatus) {
			if err := unix.Kill(follower.PID, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}, 70, "ended without a word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id := "mm-ended-runc-" + c.name
			started(t, tests.runc, spec{id: id, hostNet: true, env: []string{port(newPort())}, asks: map[string]string{"variants": "2", "group": id}})
			compared(t, id, 30)
			follower := groups(t, id)[0].Variants[1]
			cgroups := cgroupsOf(t, follower.PID)
			plan, err := control.LoadPlan(id)
			if err != nil {
				t.Fatal(err)
			}
			states := []string{filepath.Join(control.FollowersRoot(), plan.Followers[0].Container)}
			for _, path := range append(cgroups, states...) {
				if _, err := os.Stat(path); err != nil {
					t.Fatalf("while it runs: %v", err)
				}
			}

			c.end(t, id, follower)
			if code := tests.runc.wait(t, id); code != c.code {
				t.Errorf("ended with %d, want %d\n%s", code, c.code, logs(t))
			}
			var got *control.Status
			await(t, "the state \"ended\"", func() bool {
				got = statusOf(t, id)
				return got.State == "ended"
			})
			if got.ExitCode != c.code || !strings.Contains(got.Reason, c.reason) || len(got.Variants) != 2 || got.Counters["compared_2"] < 30 {
				t.Errorf("%+v, want exit code %d and reason %q", got, c.code, c.reason)
			}
			for _, v := range got.Variants {
				if v.State == "running" || v.State == "starting" {
					t.Errorf("variant %d of a group that has ended is %s", v.ID, v.State)
				}
			}
			for _, path := range append(cgroups, states...) {
				await(t, "the end of "+path, func() bool { _, err := os.Stat(path); return os.IsNotExist(err) })
			}
			tests.runc.remove(t, id)
		})
	}
}

// statusOf asks a container's supervisor.
func statusOf(t *testing.T, id string) *control.Status {
	t.Helper()
	c, err := control.Dial(id)
	if err != nil {
		t.Fatalf("%v\n%s", err, logs(t))
	}
	defer c.Close()
	got, err := c.Status(context.Background())
	if err != nil {
		t.Fatalf("%v\n%s", err, logs(t))
	}
	return got
}

// cgroupsOf are the folders of a process's cgroups that the low-level runtime made for it.
func cgroupsOf(t *testing.T, pid int) []string {
	t.Helper()
	own := cgroups(t, os.Getpid())
	var made []string
	for controller, path := range cgroups(t, pid) {
		if path != own[controller] {
			made = append(made, filepath.Join("/sys/fs/cgroup", controller, path))
		}
	}
	if len(made) == 0 {
		t.Fatalf("process %d is in no cgroup of its own", pid)
	}
	return made
}

// cgroups are a process's cgroups by the folder of their hierarchy.
func cgroups(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		words := strings.SplitN(line, ":", 3)
		folder := strings.TrimPrefix(words[1], "name=")
		if folder == "" { // of version 2, alone or beside the others
			if _, err := os.Stat("/sys/fs/cgroup/unified"); err == nil {
				folder = "unified"
			}
		}
		all[folder] = words[2]
	}
	return all
}
