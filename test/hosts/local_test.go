package hosts

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

// Two variants of one host with a supervisor each meet at unix sockets, whoever comes first.
func TestUnixSockets(t *testing.T) {
	w := newLocal(t)
	for first := range 2 {
		t.Run(fmt.Sprintf("variant %d first", first+1), func(t *testing.T) {
			w.t = t
			var ps [2]*proc.Process
			ps[first] = w.start(w.hosts[first], "cat", w.seen("text"))
			time.Sleep(200 * time.Millisecond)
			ps[1-first] = w.start(w.hosts[1-first], "cat", w.seen("text"))
			for i, p := range ps {
				r := p.Wait()
				want(t, fmt.Sprintf("variant %d", i+1), r, 0)
				if got := string(r.Stdout); got != []string{"text\n", ""}[i] {
					t.Errorf("variant %d has written %q", i+1, got)
				}
			}
		})
	}
}

// A program that is started with LD_PRELOAD comes to the supervisors that wait for it, and sees nothing of how it did.
func TestPreload(t *testing.T) {
	w := newLocal(t)
	for _, c := range []struct {
		name     string
		argv     []string
		relative bool // MONMOD_CONFIG, as the program sees it
		status   int
		stdout   string
	}{
		{"output", []string{"cat", w.seen("text")}, false, 0, "text\n"},
		{"relative path of the group's file", []string{"cat", w.seen("text")}, true, 0, "text\n"},
		{"status", []string{"/usr/bin/python3", "-c", "import os; print('MONMOD_ID' in os.environ, 'LD_PRELOAD' in os.environ); raise SystemExit(7)"}, false, 7, "False False\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			var supervisors, ps [2]*proc.Process
			for i, h := range w.hosts {
				supervisors[i] = w.startSpec(w.spec(h, monmod, "supervise", "--id", strconv.Itoa(h.id), "--config", h.config))
			}
			w.sockets(2)
			for i, h := range w.hosts {
				config := h.config
				if c.relative {
					var err error
					config, err = filepath.Rel(w.files, config)
					w.must(err)
				}
				ps[i] = w.startSpec(w.spec(h, append([]string{"env", "LD_PRELOAD=" + target.Built("libmonmod.so"),
					"MONMOD_ID=" + strconv.Itoa(h.id), "MONMOD_CONFIG=" + config}, c.argv...)...))
			}
			for i := range ps {
				r := ps[i].Wait()
				want(t, fmt.Sprintf("the program of variant %d", i+1), r, c.status)
				if i == 0 && string(r.Stdout) != c.stdout {
					t.Errorf("the leader's output is not %q: %s", c.stdout, r)
				}
				want(t, fmt.Sprintf("the supervisor of variant %d", i+1), supervisors[i].Wait(), c.status)
			}
		})
	}
}

// newLocal is a world whose hosts are this machine, with nothing of their own but their supervisors.
func newLocal(t *testing.T) *world {
	t.Helper()
	needs(t)
	w := newWorld(t, unixSockets, "start_timeout: 10s")
	w.each(func(h *host) { w.file(h, "text", "text\n") })
	return w
}

// sockets waits until so many supervisors wait for their programs.
func (w *world) sockets(n int) {
	w.t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
		found := 0
		_ = filepath.WalkDir(w.hosts[0].state, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type()&os.ModeSocket != 0 && !strings.Contains(path, "/peers/") {
				found++
			}
			return nil
		})
		if found == n {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%d of %d supervisors wait for their programs", found, n)
		}
	}
}

// TestHalfOfTheVariables: a program that is started with one of the two variables was meant to be monitored, and does not run.
func TestHalfOfTheVariables(t *testing.T) {
	w := newLocal(t)
	for _, variable := range []string{"MONMOD_ID=1", "MONMOD_CONFIG=" + w.hosts[0].config} {
		r := w.startSpec(w.spec(w.hosts[0], "env", "LD_PRELOAD="+target.Built("libmonmod.so"), variable, "echo", "ran")).Wait()
		if r.Status != 78 || len(r.Stdout) != 0 || !strings.Contains(string(r.Stderr), "belong together") {
			t.Errorf("%s: %s", variable, r)
		}
	}
}

// TestNobodyComes: a supervisor whose program is never started says so after start_timeout, as one does whose peers never come.
func TestNobodyComes(t *testing.T) {
	needs(t)
	w := newWorld(t, unixSockets, "start_timeout: 1s")
	h := w.hosts[0]
	r := w.startSpec(w.spec(h, monmod, "supervise", "--id", strconv.Itoa(h.id), "--config", h.config)).Wait()
	if r.Status != 69 || !strings.Contains(string(r.Stderr), "no program came for variant 1 within start_timeout (1s)") {
		t.Error(r)
	}
}

// TestInterruptedBeforeAnybodyCame: who ends a supervisor that still waits gets the signal's code, as from a shell.
func TestInterruptedBeforeAnybodyCame(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		w := newLocal(t)
		h := w.hosts[0]
		p := w.startSpec(w.spec(h, monmod, "supervise", "--id", strconv.Itoa(h.id), "--config", h.config))
		w.sockets(1)
		w.must(p.Signal(sig))
		if r := p.Wait(); r.Status != 128+int(sig) || !strings.Contains(string(r.Stderr), "no program came for variant 1: the supervisor was ended by signal") {
			t.Error(r)
		}
	}
}

// TestPreloadSaysWhatIsMissing: a program that is started with LD_PRELOAD and cannot be monitored does not run, and says what was
// tried, on what, and what to do, in words and not in numbers.
func TestPreloadSaysWhatIsMissing(t *testing.T) {
	w := newLocal(t)
	config := w.hosts[0].config
	dead := filepath.Join(t.TempDir(), "dead.sock")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: dead, Net: "unixpacket"})
	w.must(err)
	l.SetUnlinkOnClose(false)
	w.must(l.Close())
	for _, c := range []struct {
		variables []string
		status    int
		says      []string
	}{
		{[]string{"MONMOD_ID=1", "MONMOD_CONFIG=" + config}, 70, []string{"start `monmod supervise`", "/run/monmod/", ".sock: no such file or directory"}},
		{[]string{"MONMOD_ID=1", "MONMOD_CONFIG=none.yaml"}, 78, []string{"MONMOD_CONFIG", "none.yaml: no such file or directory"}},
		{[]string{"MONMOD_ID=x", "MONMOD_CONFIG=" + config}, 78, []string{"MONMOD_ID", "from 1 to 65535", "x"}},
		{[]string{"MONMOD_ID=01", "MONMOD_CONFIG=" + config}, 78, []string{"MONMOD_ID", "from 1 to 65535"}},
		{[]string{"MONMOD_ID=65536", "MONMOD_CONFIG=" + config}, 78, []string{"MONMOD_ID", "from 1 to 65535"}},
		{[]string{"MONMOD_SOCKET=" + dead, "MONMOD_TOKEN=" + strings.Repeat("5a", 32)}, 70, []string{"the container's supervisor", dead + ": connection refused"}},
	} {
		r := w.startSpec(w.spec(w.hosts[0], append(append([]string{"env", "LD_PRELOAD=" + target.Built("libmonmod.so")}, c.variables...), "echo", "ran")...)).Wait()
		if r.Status != c.status || len(r.Stdout) != 0 || bytes.Count(r.Stderr, []byte("\n")) != 1 {
			t.Errorf("%q: want status %d and one line: %s", c.variables, c.status, r)
		}
		for _, says := range c.says {
			if !bytes.Contains(r.Stderr, []byte(says)) {
				t.Errorf("%q: want a message with %q: %s", c.variables, says, r)
			}
		}
	}
}
