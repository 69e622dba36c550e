package supervisor

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/config"
)

// come starts a fake library that comes to a socket by itself.
func come(t *testing.T, socket, scenario string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "--socket", socket, "--token", hex.EncodeToString(make([]byte, 32)), "--", "/bin/true", scenario)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestSuperviseWhatSomethingElseStarts(t *testing.T) {
	for _, c := range []struct {
		scenario string
		code     int
		want     string
	}{
		{"exit7", 7, ""},
		{"killed-alike", 137, ""},
		{"diverge", 70, "diverged at call 4"},
		{"too-early", 0, ""}, // is sent away: a supervisor waits for the right one
	} {
		t.Run(c.scenario, func(t *testing.T) {
			two := groupOf(t, 2, "unix", "")
			ctx, cancel := context.WithTimeoutCause(context.Background(), 3*time.Second, errors.New("nobody right came"))
			defer cancel()
			results := make(chan ended, 2)
			for i, g := range two.groups {
				go func() {
					code, err := Supervise(ctx, SuperviseOptions{Group: g, ID: i + 1, Config: g.Path,
						Waiting: func(socket string) { come(t, socket, c.scenario) }})
					results <- ended{code, err}
				}()
			}
			for range two.groups {
				r := <-results
				if c.code == 0 {
					if r.code != ExitDivergence || !strings.Contains(r.err.Error(), "nobody right came") {
						t.Errorf("%d, %v", r.code, r.err)
					}
					continue
				}
				if r.code != c.code {
					t.Errorf("exit code %d, want %d (%v)", r.code, c.code, r.err)
				}
				checkError(t, r.err, c.want)
			}
		})
	}
}

func TestSocketOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("long", 25), "sock")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := listenHello(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := listenHello(path, 0o600); err == nil {
		second.Close()
		t.Error("two supervisors serve one socket")
	}
	l.Close() // its file stays, as after a kill
	again, err := listenHello(path, 0o600)
	if err != nil {
		t.Fatalf("a socket that nobody serves is not replaced: %v", err)
	}
	again.Close()
}

func TestAdmitWantsTokenAndProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	l, err := listenHello(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accept := func() *net.UnixConn {
		c, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	v := newVariant(1, 0, 0)
	cmd := come(t, path, "exit7")
	if _, err := (expected{v: v, token: [32]byte(bytes.Repeat([]byte{9}, 32))}).admit(accept()); err == nil || !strings.Contains(err.Error(), "right token") {
		t.Errorf("wrong token: %v", err)
	}
	come(t, path, "exit7")
	if _, err := (expected{v: v, pid: cmd.Process.Pid}).admit(accept()); err == nil || !strings.Contains(err.Error(), "is not process") {
		t.Errorf("another process: %v", err)
	}
	right := come(t, path, "exit7")
	a, err := expected{v: v, pid: right.Process.Pid}.admit(accept())
	if err != nil || a.pid != right.Process.Pid {
		t.Errorf("the right one: %d, %v", a.pid, err)
	}
	a.drop()
}

func TestSuperviseNeedsAGroupFile(t *testing.T) {
	g, err := config.Local(2)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := Supervise(context.Background(), SuperviseOptions{Group: g, ID: 1, Config: "/no/such/file"}); code != ExitConfig || err == nil {
		t.Errorf("%d, %v", code, err)
	}
}
