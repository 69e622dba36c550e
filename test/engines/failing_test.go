package engines

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A container whose monitoring fails ends: no path leads from being asked for to running without.

// TestSupervisorKilled: a container ends when its supervisor is killed, its log and the events say why, and it can be removed.
func TestSupervisorKilled(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		id := "mm-supervisorkilled-" + e.name()
		started(t, e, spec{id: id, args: []string{"/usr/bin/sleep", "300"}, asks: map[string]string{"variants": "3", "group": id}})
		compared(t, id, 10)
		g := groups(t, id)
		if err := unix.Kill(g[0].Supervisor, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if code, took := e.wait(t, id), time.Since(began); code == 0 || took > 5*time.Second {
			t.Errorf("ended with %d after %v", code, took)
		}
		for _, v := range g[0].Variants {
			await(t, "the end of every variant", func() bool { return !alive(v.PID) })
		}
		eventually(t, id, "supervisor_lost", "is gone without a word")
		if out := e.output(t, id); !strings.Contains(out, "monmod: the supervisor of group "+id+" (process ") {
			t.Errorf("the container's log does not say why it ended: %q", out)
		}
		e.remove(t, id)
	})
}

// TestFollowerKilled: a follower's container that is killed is no reason to go on without it.
func TestFollowerKilled(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		id := "mm-followerkilled-" + e.name()
		started(t, e, spec{id: id, args: []string{"/usr/bin/sleep", "300"}, asks: map[string]string{"variants": "2", "group": id}})
		compared(t, id, 10)
		for _, v := range groups(t, id)[0].Variants {
			if v.Role == "follower" {
				if err := unix.Kill(v.PID, unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
		}
		if code := e.wait(t, id); code != 70 {
			t.Errorf("ended with %d, want 70\n%s", code, logs(t))
		}
		// who looks at the container's log alone learns of it too
		if out := e.output(t, id); !strings.Contains(out, "monmod: ") || !strings.HasSuffix(out, "; the report lies in /var/log/monmod/"+id+"\n") {
			t.Errorf("the container's log does not say why it ended: %q", out)
		}
		e.remove(t, id)
	})
}

// TestNoHello: a program that the kernel starts with privileges of its own, which it got after it was looked at, ignores LD_PRELOAD
// and runs on without the library. It is ended.
func TestNoHello(t *testing.T) {
	t.Parallel()
	const id = "mm-nohello-runc"
	r := tests.runc
	b := r.bundle(t, spec{id: id, args: []string{"/usr/bin/sleep", "60"}, user: "33:33", asks: map[string]string{"variants": "2", "inject": "preload", "group": id}})
	// struct vfs_cap_data: revision 2 with the effective bit, and CAP_NET_BIND_SERVICE, which the container may have
	capability := make([]byte, 20)
	binary.LittleEndian.PutUint32(capability, 0x02000001)
	binary.LittleEndian.PutUint32(capability[4:], 1<<unix.CAP_NET_BIND_SERVICE)
	t.Cleanup(func() { r.remove(t, id) })
	if got := r.bundled(t, id, b, "create"); got.Status != 0 {
		t.Fatalf("%s", got)
	}
	if err := unix.Setxattr(filepath.Join(string(b), "rootfs/usr/bin/sleep"), "security.capability", capability, 0); err != nil {
		t.Fatal(err)
	}
	must(t, r.client("start", id))
	began := time.Now()
	code := r.wait(t, id)
	if took := time.Since(began); code == 0 || took > 15*time.Second {
		t.Errorf("ended with %d after %v", code, took)
	}
	eventually(t, id, "not_started", "not every variant said hello within")
}

// TestTwice: a bundle that was run is run again, and a second container of its name is refused meanwhile.
func TestTwice(t *testing.T) {
	t.Parallel()
	const id = "mm-twice-runc"
	r := tests.runc
	b := r.bundle(t, spec{id: id, args: []string{"/usr/bin/sleep", "300"}, asks: variants(2)})
	t.Cleanup(func() { r.remove(t, id) })
	for range 2 {
		if got := r.run(t, id, b); got.Status != 0 {
			t.Fatalf("%s", got)
		}
		if got := command(t, r.client("run", "--bundle", string(b), id)); got.Status == 0 || !strings.Contains(string(got.Stderr), "already exists") {
			t.Errorf("%s", got)
		}
		r.kill(t, id, "KILL")
		if code := r.wait(t, id); code != 128+9 {
			t.Errorf("killed, it ended with %d", code)
		}
		r.remove(t, id)
	}
	noReports(t, id)
}

// alive says whether a process is there and has not ended.
func alive(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err == nil && info.Signo != 0 {
		return false // it fell to this process, which has yet to reap it
	}
	return unix.Kill(pid, 0) == nil
}

// TestWatchdogKilled: a container ends when its supervisor's watchdog is killed, and its log says why.
func TestWatchdogKilled(t *testing.T) {
	t.Parallel()
	r, id := tests.runc, "mm-watchdogkilled-runc"
	started(t, r, spec{id: id, args: []string{"/usr/bin/sleep", "300"}, asks: map[string]string{"variants": "2", "group": id}})
	compared(t, id, 10)
	if err := unix.Kill(watchdogOf(t, groups(t, id)[0].Supervisor), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if code, took := r.wait(t, id), time.Since(began); code != 70 || took > 5*time.Second {
		t.Errorf("ended with %d after %v, want 70\n%s", code, took, logs(t))
	}
	eventually(t, id, "ending", "the watchdog of the supervisor is gone (signal: killed)")
	if out := r.output(t, id); !strings.Contains(out, "monmod: the watchdog of the supervisor is gone") {
		t.Errorf("the container's log does not say why it ended: %q", out)
	}
}

// watchdogOf is the process that watches a supervisor, its child.
func watchdogOf(t *testing.T, supervisor int) int {
	t.Helper()
	found, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range found {
		pid := number(t, filepath.Base(filepath.Dir(path)))
		stat, _ := os.ReadFile(path) // one that has just ended is not it
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(supervisor) && strings.Contains(string(command), "\x00watchdog") {
			return pid
		}
	}
	t.Fatalf("supervisor %d has no watchdog", supervisor)
	return 0
}
