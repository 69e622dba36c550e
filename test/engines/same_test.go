package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is the same in every engine.

// TestServes: a web server as two variants of one container, for a user of its own, on a read-only root; what its engine does
// with it meanwhile; and its end.
func TestServes(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		group, n := "mm-serves-"+e.name(), newPort()
		id := started(t, e, spec{
			id: group, hostNet: true, user: "33:33", readonly: true,
			env: []string{port(n)}, asks: map[string]string{"variants": "2", "group": group},
		})
		for range 3 {
			fetch(t, n)
		}
		compared(t, group, 30)

		if r := e.exec(t, id, "/usr/bin/cat", "/etc/plain"); r.Status != 0 || string(r.Stdout) != "no program\n" {
			t.Errorf("exec: %s", r)
		}
		eventually(t, group, "exec", "/usr/bin/cat /etc/plain")
		if r := e.exec(t, id, "/bin/busybox", "sh", "-c", "echo $LD_PRELOAD$MONMOD_TOKEN$MONMOD_SOCKET; exit 3"); r.Status != 3 || string(r.Stdout) != "\n" {
			t.Errorf("exec of a shell: %s", r)
		}

		e.pause(t, id)
		if why := tryFetch(n, 500*time.Millisecond); why == "" {
			t.Error("a paused server answers")
		}
		time.Sleep(2 * time.Second)
		e.resume(t, id)
		fetch(t, n)

		e.stop(t, id, 10*time.Second)
		if code := e.wait(t, id); code != 0 {
			t.Errorf("stopped with %d\n%s\n%s", code, e.output(t, id), logs(t))
		}
		e.remove(t, id)
		noReports(t, group)
	})
}

// TestEndings: what a program's end looks like to the engine.
func TestEndings(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		for _, c := range []struct {
			name string
			args []string
			code int
			out  string
		}{
			{"true", []string{"/usr/bin/id", "-u"}, 0, "0\n"},
			{"false", []string{"/usr/bin/false"}, 1, ""},
			{"complains", []string{"/usr/bin/cat", "/nowhere"}, 1, "/usr/bin/cat: /nowhere: No such file or directory\n"},
			{"path", []string{"uname", "-s"}, 0, "Linux\n"},
		} {
			t.Run(c.name, func(t *testing.T) {
				code, out := finished(t, e, spec{id: "mm-endings-" + e.name() + "-" + c.name, args: c.args, asks: variants(2)})
				if out = strings.ReplaceAll(out, "\r", ""); code != c.code || out != c.out {
					t.Errorf("ended with %d and %q, want %d and %q\n%s", code, out, c.code, c.out, logs(t))
				}
			})
		}
	})
}

// TestMissing: a program that is not there or is none is refused before anything starts, with the engine's own exit code.
func TestMissing(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		for _, c := range []struct {
			program string
			code    int // of clients that have one for this
		}{{"/no/such", 127}, {"nosuch", 127}, {"/etc/plain", 126}, {"/etc", 126}} {
			id := "mm-missing-" + e.name()
			plain := e.start(t, spec{id: id, args: []string{c.program}})
			e.remove(t, id)
			r := e.start(t, spec{id: id, args: []string{c.program}, asks: variants(2)})
			e.remove(t, id)
			if e.name() == "runc" {
				plain.Status, c.code = 1, 1
			}
			if r.Status != c.code || plain.Status != c.code {
				t.Errorf("%s: %d unmonitored and %d monitored, want %d: %s", c.program, plain.Status, r.Status, c.code, r)
			}
		}
	})
}

// TestFirstProcess: the first process of a container ignores signals that it does not handle, monitored or not.
func TestFirstProcess(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		for _, asks := range []map[string]string{nil, variants(2)} {
			id := started(t, e, spec{id: "mm-firstprocess-" + e.name(), args: []string{"/usr/bin/sleep", "300"}, asks: asks})
			// The low-level runtime's own first process, which makes room for the program, does end by a signal.
			await(t, "the program", func() bool {
				return strings.HasPrefix(string(e.exec(t, id, "/usr/bin/cat", "/proc/1/cmdline").Stdout), "/usr/bin/sleep\x00300")
			})
			before := time.Now()
			e.stop(t, id, 2*time.Second)
			if code, took := e.wait(t, id), time.Since(before); code != 128+9 || took < 1500*time.Millisecond {
				t.Errorf("asked %v: ended with %d after %v, want the kill after 2 s", asks, code, took)
			}
			e.remove(t, id)
		}
	})
}

// TestEnvironment: env prints the same as unmonitored, but for what asks for monitoring.
func TestEnvironment(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		s := spec{id: "mm-environment-" + e.name(), args: []string{"/usr/bin/env"}, env: []string{"A=b=c", "LD_PRELOAD=", "EMPTY="}}
		_, plain := finished(t, e, s)
		s.asks = variants(3)
		_, monitored := finished(t, e, s)
		plain, monitored = comparable(plain), comparable(monitored)
		if plain != monitored || !strings.Contains(plain, "A=b=c\n") {
			t.Errorf("unmonitored\n%s\nmonitored\n%s", plain, monitored)
		}
	})
}

// comparable is an environment without what an engine makes up anew for each container: the host name and podman's order.
func comparable(env string) string {
	lines := strings.SplitAfter(env, "\n")
	slices.Sort(lines)
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "HOSTNAME=") }), "")
}

// TestVolume: what the program writes to a volume is written once, by the leader.
func TestVolume(t *testing.T) {
	everyEngine(t, func(t *testing.T, e engine) {
		s := spec{id: "mm-volume-" + e.name(), args: []string{"/bin/busybox", "dd", "if=/data/file", "of=/data/log", "oflag=append", "conv=notrunc"}, data: "line\n", asks: variants(3)}
		code, out := finished(t, e, s)
		if text, err := os.ReadFile(filepath.Join(s.bound(), "log")); code != 0 || err != nil || string(text) != "line\n" {
			t.Errorf("ended with %d, wrote %q (%v)\n%s\n%s", code, text, err, out, logs(t))
		}
	})
}

// TestRestart: a container that is started again is monitored again; Docker keeps its config.json, podman makes it anew.
func TestRestart(t *testing.T) {
	for _, e := range []engine{docker{}, tests.podman} {
		t.Run(e.name(), func(t *testing.T) {
			t.Parallel()
			id, n := "mm-restart-"+e.name(), newPort()
			lives := func() (n int) {
				for _, e := range events(t, id) {
					if e.Kind == "started" {
						n++
					}
				}
				return n
			}
			before := lives() // of an earlier round of this test
			started(t, e, spec{id: id, hostNet: true, env: []string{port(n)}, asks: map[string]string{"variants": "2", "group": id}})
			for range 2 {
				fetch(t, n)
				compared(t, id, 30)
				must(t, e.(interface{ client(...string) *exec.Cmd }).client("restart", "--time", "10", id))
			}
			fetch(t, n)
			if got := lives() - before; got != 3 {
				t.Errorf("%d monitored lives, want 3\n%s", got, logs(t))
			}
			noReports(t, id)
		})
	}
}
