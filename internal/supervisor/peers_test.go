package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/keys"
	"github.com/monmod/monmod/internal/report"
)

// freePorts are ports of the loopback that nobody listens at just now.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// twoSupervisors are a group of n variants, each with a supervisor of its own.
type twoSupervisors struct {
	groups []*config.Group
	log    *logrus.Logger // nil: silent
}

func groupOf(t *testing.T, n int, network string, more string) twoSupervisors {
	t.Helper()
	dir := t.TempDir()
	text := "group: test-" + strings.ReplaceAll(filepath.Base(t.Name()), "/", "-") + "\nleader: 1\nfs: own\npeer_timeout: 1s\n" + more + "variants:\n"
	ports := freePorts(t, n)
	for i := range n {
		text += fmt.Sprintf("  - id: %d\n", i+1)
		if network == "tcp" {
			text += fmt.Sprintf("    address: 127.0.0.1\n    port: %d\n", ports[i])
		}
	}
	text += "keys: " + filepath.Join(dir, "keys") + "\n"
	path := filepath.Join(dir, "group.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var two twoSupervisors
	for i := range n {
		g, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		g.Logs = filepath.Join(dir, fmt.Sprint("logs", i+1))
		two.groups = append(two.groups, g)
	}
	if network == "tcp" {
		if _, err := keys.Generate(two.groups[0].Name, two.groups[0].Members(), two.groups[0].Keys); err != nil {
			t.Fatal(err)
		}
	}
	return two
}

type ended struct {
	code int
	err  error
}

// run runs every variant with its scenario, the last one first, and gives how each supervisor ended.
func (two twoSupervisors) run(t *testing.T, scenarios ...string) []ended {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	results := make([]chan ended, len(two.groups))
	for i := len(two.groups) - 1; i >= 0; i-- {
		results[i] = make(chan ended, 1)
		go func() {
			fd := int(null.Fd())
			code, err := Run(ctx, RunOptions{Group: two.groups[i], ID: i + 1, Program: "true", Args: []string{scenarios[i%len(scenarios)]},
				Library: self, Logger: two.log, Files: map[int]int{0: fd, 1: fd, 2: 2}})
			results[i] <- ended{code, err}
		}()
	}
	var out []ended
	for _, r := range results {
		out = append(out, <-r)
	}
	return out
}

func TestGroupOfSupervisors(t *testing.T) {
	quick := "lag: 400ms\nlag_wall: 3s\n"
	for _, c := range []struct {
		scenario string
		network  string
		variants int
		more     string
		code     int
		want     string
		reason   report.Reason
	}{
		{"exit7", "unix", 2, "", 7, "", ""},
		{"exit7", "tcp", 3, "", 7, "", ""},
		{"stream", "unix", 2, "", 4, "", ""},
		{"stream", "tcp", 2, "", 4, "", ""},
		{"signal", "unix", 2, "", 5, "", ""},
		{"diverge", "tcp", 2, "", 70, "diverged at call 4", report.OtherArgument},
		{"diverge", "unix", 3, "", 70, "diverged at call 4", report.OtherArgument},
		{"other-exit", "unix", 2, "", 70, "left with exit code", report.Ended},
		{"follower-dies", "unix", 2, quick, 70, "", report.Ended},
		{"late-follower", "unix", 2, quick, 70, "did not arrive", report.Late},
		{"late-leader", "unix", 2, quick, 70, "did not arrive", report.Late},
		{"computing", "unix", 2, quick, 0, "", ""},
	} {
		t.Run(fmt.Sprint(c.scenario, "-", c.network, "-", c.variants), func(t *testing.T) {
			t.Parallel()
			two := groupOf(t, c.variants, c.network, c.more)
			for i, r := range two.run(t, c.scenario) {
				if r.code != c.code {
					t.Errorf("variant %d: exit code %d, want %d (%v)", i+1, r.code, c.code, r.err)
				}
				if c.want != "" || c.code != 70 {
					checkError(t, r.err, c.want)
				}
				if twice := regexp.MustCompile(`variant (\d+): variant (\d+)`).FindStringSubmatch(fmt.Sprint(r.err)); twice != nil && twice[1] == twice[2] {
					t.Errorf("variant %d names one variant twice: %v", i+1, r.err)
				}
			}
			if c.reason != "" {
				checkReports(t, two, c.reason)
			}
			if left, err := filepath.Glob(filepath.Join(GroupsDir(), two.groups[0].Name+".*")); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

// checkReports wants one report at least: a supervisor whose variant had not begun yet has nothing to say.
func checkReports(t *testing.T, two twoSupervisors, reason report.Reason) {
	t.Helper()
	found := 0
	for i, g := range two.groups {
		path, err := report.Last(g.Logs)
		if errors.Is(err, report.ErrNone) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		found++
		if r, err := report.Load(path); err != nil || r.Reason != reason {
			t.Errorf("variant %d: %s: %v, want reason %s", i+1, path, err, reason)
		}
	}
	if found == 0 {
		t.Error("nobody wrote a report")
	}
}

// TestGroupWithoutKeys: whoever runs without authentication is told so by each supervisor, once.
func TestGroupWithoutKeys(t *testing.T) {
	log, hook := logtest.NewNullLogger()
	two := groupOf(t, 2, "tcp", "")
	two.log = log
	for _, g := range two.groups {
		g.Keys = config.KeysNone
	}
	for i, r := range two.run(t, "exit7") {
		if r.code != 7 {
			t.Errorf("variant %d: %d, %v", i+1, r.code, r.err)
		}
	}
	var warnings []string
	for _, e := range hook.AllEntries() {
		if e.Level <= logrus.WarnLevel {
			warnings = append(warnings, e.Message)
		}
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], "monmod keygen") {
		t.Errorf("%d warnings of two supervisors: %q", len(warnings), warnings)
	}
}

func TestSupervisorsThatDoNotFit(t *testing.T) {
	t.Run("arguments", func(t *testing.T) {
		for i, r := range groupOf(t, 2, "unix", "").run(t, "exit7", "stream") {
			if r.code != ExitConfig || r.err == nil || !strings.Contains(r.err.Error(), "arguments") {
				t.Errorf("variant %d: %d, %v", i+1, r.code, r.err)
			}
		}
	})
	t.Run("group files", func(t *testing.T) { // the key that differs is named, with both values
		two := groupOf(t, 2, "tcp", "")
		two.groups[0].Lag = 7 * time.Second
		for i, r := range two.run(t, "exit7") {
			text := fmt.Sprint(r.err)
			if r.code != ExitConfig || !strings.Contains(text, "lag in the group file") || !strings.Contains(text, `"7s"`) || !strings.Contains(text, `"10s"`) {
				t.Errorf("variant %d: %d, %v", i+1, r.code, r.err)
			}
		}
	})
	t.Run("absent", func(t *testing.T) {
		two := groupOf(t, 2, "unix", "start_timeout: 1s\n")
		two.groups = two.groups[:1]
		r := two.run(t, "exit7")[0]
		if r.code != ExitPeerLost || r.err == nil {
			t.Errorf("%d, %v", r.code, r.err)
		}
	})
	t.Run("shared", func(t *testing.T) {
		two := groupOf(t, 2, "unix", "")
		two.groups = two.groups[:1]
		two.groups[0].FS = config.FSShared
		r := two.run(t, "exit7")[0]
		if r.code != ExitConfig || !strings.Contains(r.err.Error(), "fs: own") {
			t.Errorf("%d, %v", r.code, r.err)
		}
	})
}
