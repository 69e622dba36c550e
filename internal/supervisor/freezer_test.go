package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the kernel says of hierarchies on a host with both kinds, and inside a container that sees a part of each.
const (
	hybridMounts = `23 1 0:21 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:4 - cgroup cgroup rw,freezer
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	unifiedMounts = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	partMounts    = "29 23 0:26 /docker/one /sys/fs/cgroup rw - cgroup2 cgroup rw\n31 23 0:27 /docker/one /mnt rw - cgroup x rw,cpu,freezer\n"
)

func TestFreezersOfAProcess(t *testing.T) {
	for _, c := range []struct {
		name, cgroups, mounts string
		want                  []string
	}{
		{"both kinds", "6:freezer:/mm/x\n5:devices:/mm/y\n0::/mm/z\n", hybridMounts,
			[]string{"/sys/fs/cgroup/freezer/mm/x/freezer.state", "/sys/fs/cgroup/unified/mm/z/cgroup.events"}},
		{"unified", "0::/system.slice/docker-1.scope\n", unifiedMounts, []string{"/sys/fs/cgroup/system.slice/docker-1.scope/cgroup.events"}},
		{"the root", "0::/\n", unifiedMounts, []string{"/sys/fs/cgroup/cgroup.events"}},
		{"colons in the name", "0::/a:b:c\n", unifiedMounts, []string{"/sys/fs/cgroup/a:b:c/cgroup.events"}},
		{"a part is mounted", "7:cpu,freezer:/docker/one/x\n0::/docker/one\n", partMounts, []string{"/mnt/x/freezer.state", "/sys/fs/cgroup/cgroup.events"}},
		{"another part", "7:cpu,freezer:/docker/two\n0::/docker/oneness\n", partMounts, nil},
		{"outside of the reader's namespace", "0::/../two\n", unifiedMounts, nil},
		{"a mount from outside", "0::/two\n", strings.ReplaceAll(unifiedMounts, " / ", " /../two "), nil},
		{"not mounted", "6:freezer:/x\n0::/x\n", strings.Split(hybridMounts, "\n")[0], nil},
		{"no lines of that kind", "freezer\n\n6:freezer\n", hybridMounts + "37 31 - cgroup\n- cgroup2\n\n", nil},
	} {
		if got := freezersOf([]byte(c.cgroups), parseHierarchies([]byte(c.mounts))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestFrozenIsWhatTheGroupSays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "says")
	for said, want := range map[string]bool{
		"populated 1\nfrozen 1\n": true, "populated 1\nfrozen 0\n": false, "frozen 10\n": false, "": false,
		"FROZEN\n": true, "FREEZING\n": true, "THAWED\n": false,
	} {
		if err := os.WriteFile(file, []byte(said), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := frozen([]string{file + "-that-is-not-there", file}); got != want {
			t.Errorf("%q: frozen %v, want %v", said, got, want)
		}
	}
}

// freezing puts a process into a control group of its own and returns what freezes and thaws that.
func freezing(t *testing.T, pid int) func(freeze bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("control groups are made by root")
	}
	name := fmt.Sprintf("mm-freezing-%d", pid)
	for _, h := range hierarchies() {
		dir, file, words := filepath.Join(h.at, name), "freezer.state", [2]string{"THAWED", "FROZEN"}
		if h.kind == "cgroup2" {
			file, words = "cgroup.freeze", [2]string{"0", "1"}
		}
		if h.root != "/" || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		freeze := func(freeze bool) {
			t.Helper()
			word := words[0]
			if freeze {
				word = words[1]
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(word), 0o644); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(5 * time.Second); frozen([]string{filepath.Join(dir, freezerFiles[h.kind])}) != freeze; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s is not %s", dir, word)
				}
			}
		}
		t.Cleanup(func() {
			freeze(false)
			back, err := os.OpenFile(filepath.Join(h.at, "cgroup.procs"), os.O_WRONLY, 0)
			if err == nil {
				_, err = fmt.Fprint(back, pid)
				_ = back.Close()
			}
			if err != nil {
				t.Error(err)
			}
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, pid), 0o644); err != nil {
			t.Fatal(err)
		}
		return freeze
	}
	t.Skip("no hierarchy of control groups that can be frozen")
	return nil
}

// TestFrozenTimeDoesNotCount: a sleeper that is frozen is where it slept, as far as the kernel shows.
func TestFrozenTimeDoesNotCount(t *testing.T) {
	pid, period, now := sleeper(t), 100*time.Millisecond, time.Now()
	freeze := freezing(t, pid)
	var l lateness
	look := func(what string, want time.Duration) {
		t.Helper()
		now = now.Add(period)
		l.see(now, pid, true, [3]uint64{1}, period)
		if l.wall != want {
			t.Errorf("%s: late for %v, want %v", what, l.wall, want)
		}
	}
	look("first", 0)
	look("asleep", period)
	freeze(true)
	look("frozen", period)
	look("still frozen", period)
	freeze(false)
	look("thawed", 2*period)
}
