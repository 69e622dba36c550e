package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/report"
)

// runScenario runs what Run makes of a scenario, with less patience.
func runScenario(t *testing.T, scenario string, variants int, set []string) (code int, logs string, err error) {
	t.Helper()
	g, err := config.Local(variants)
	if err != nil {
		t.Fatal(err)
	}
	logs = t.TempDir()
	for _, setting := range set {
		key, value, _ := strings.Cut(setting, "=")
		if err := g.Set(key, value, "test"); err != nil {
			t.Fatal(err)
		}
	}
	g.Logs = logs
	g.Name = "test-" + strings.ReplaceAll(t.Name(), "/", "-")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	log, _ := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	opts := RunOptions{Group: g, Program: "true", Args: []string{scenario}, Library: self, Logger: log,
		Files: map[int]int{0: int(null.Fd()), 1: int(null.Fd()), 2: 2, 7: int(null.Fd())}, patience: 700 * time.Millisecond}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	begin := time.Now()
	code, err = Run(ctx, opts)
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	if left, e := filepath.Glob(filepath.Join(GroupsDir(), g.Name+".*")); e != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, e)
	}
	return code, logs, err
}

func TestGroupThatRuns(t *testing.T) {
	audit := []string{"on_divergence=audit"}
	quick := []string{"lag=300ms", "lag_wall=5s"}
	for _, c := range []struct {
		scenario string
		variants int
		set      []string
		code     int
		want     string        // in the error; "": none
		reason   report.Reason // of the report; "": none
		response report.Response
	}{
		{"exit7", 2, nil, 7, "", "", ""},
		{"exit7", 3, nil, 7, "", "", ""},
		{"stream", 2, nil, 4, "", "", ""},
		{"killed-alike", 2, nil, 137, "", "", ""},
		{"signal", 2, nil, 5, "", "", ""},
		{"noise", 2, nil, 0, "", "", ""},
		{"computing", 2, quick, 0, "", "", ""},
		{"other-exit", 2, nil, 70, "left with exit code", report.Ended, report.GroupEnded},
		{"follower-dies", 2, nil, 70, "was ended by signal 9 (SIGKILL), but variant 1", report.Ended, report.GroupEnded},
		{"follower-dies", 3, nil, 70, "was ended by signal 9", report.Ended, report.GroupEnded},
		{"follower-stays", 2, quick, 70, "goes on", report.Ended, report.GroupEnded},
		{"diverge", 2, nil, 70, "diverged at call 4", report.OtherArgument, report.GroupEnded},
		{"diverge", 3, nil, 70, "diverged at call 4", report.OtherArgument, report.GroupEnded},
		{"deaf", 2, nil, 70, "diverged at call 4", report.OtherArgument, report.GroupEnded},
		{"audit", 2, audit, 3, "", report.OtherArgument, report.Recorded},
		{"late-follower", 2, quick, 70, "variant 2 (follower", report.Late, report.GroupEnded},
		{"late-leader", 2, quick, 70, "variant 1 (leader", report.Late, report.GroupEnded},
		{"refused", 2, nil, 70, `cannot go on: no \x1b[31mforks (call `, report.Refused, report.GroupEnded},
		{"unknown-message", 2, nil, 70, "HELLO has no place behind GO", report.GaveUp, report.GroupEnded},
		{"short-signal", 2, nil, 70, "SIGNAL of 1 bytes", report.GaveUp, report.GroupEnded},
		{"sigkill-by-proxy", 2, nil, 70, "cannot be passed on", report.GaveUp, report.GroupEnded},
		{"case-without-end", 2, nil, 70, "DIVERGED", report.GaveUp, report.GroupEnded},
		{"garbage-after-go", 2, nil, 70, "what is no message", report.GaveUp, report.GroupEnded},
		{"audit-unasked", 2, nil, 70, "does not audit", report.GaveUp, report.GroupEnded},
		{"stop-twice", 2, nil, 70, "second time", report.GaveUp, report.GroupEnded},
	} {
		t.Run(fmt.Sprint(c.scenario, "-", c.variants), func(t *testing.T) {
			t.Parallel()
			code, logs, err := runScenario(t, c.scenario, c.variants, c.set)
			if code != c.code {
				t.Errorf("exit code %d, want %d (%v)", code, c.code, err)
			}
			checkError(t, err, c.want)
			checkReport(t, logs, c.reason, c.response)
			checkEvents(t, logs)
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func checkReport(t *testing.T, logs string, reason report.Reason, response report.Response) {
	t.Helper()
	path, err := report.Last(logs)
	if reason == "" {
		if !errors.Is(err, report.ErrNone) {
			t.Errorf("a report was written: %s, %v", path, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Reason != reason || r.Response != response {
		t.Errorf("report: reason %s, response %s, want %s, %s", r.Reason, r.Response, reason, response)
	}
	if reason == report.OtherArgument && (r.Difference == nil || r.Difference.Leader != `"public"` || r.Difference.Other != `"secret"`) {
		t.Errorf("report: difference %+v", r.Difference)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("report: mode %v, %v", st.Mode(), err)
	}
}

// checkEvents sees that a run is in the journal from its beginning to its end.
func checkEvents(t *testing.T, logs string) {
	t.Helper()
	seen := map[string]int{}
	bad := func(err error) { t.Error(err) }
	if err := NewEventReader(logs).Read(func(e Entry) error { seen[e.Kind]++; return nil }, bad); err != nil {
		t.Fatal(err)
	}
	if seen["started"] != 1 || seen["ended"] < 2 || seen["variant"] > 2*maxNoise {
		t.Errorf("events: %v", seen)
	}
}

func TestGroupThatCannotStart(t *testing.T) {
	for _, c := range []struct {
		scenario string
		code     int
		want     string
	}{
		{"silent", 70, "did not say HELLO within"},
		{"garbage", 70, "what is no message"},
		{"oversized", 70, "a message of more than"},
		{"wrong-token", 70, "with a wrong token"},
		{"unsealed", 70, "not a sealed memory object"},
		{"no-sections", 70, "said hello"},
		{"empty-state", 70, "without its end mark"},
		{"missing-state", 70, "0 descriptors instead of its state"},
		{"lacks-section", 70, "lacks section PROGRAM"},
		{"no-folder", 70, "cannot be started: its working directory was deleted, or has too long a path: start it in another one"},
		{"few-files", 78, "the limit of open files is 19, and 24 are needed: raise it"},
		{"too-early", 70, "said READY where HELLO was expected"},
		{"ready-at-once", 70, "said READY where MAPPED was expected"},
		{"long-mapped", 70, "MAPPED with a body of 3 bytes"},
		{"flood", 70, ""},
		{"many-descriptors", 70, "more than 4 descriptors"},
		{"leaves", 70, "left with exit code 3 before the program began"},
		{"hangs-up", 70, "closed its control socket and lives on"},
		{"no-program", 127, "cannot go on: no interpreter: no such file"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			code, _, err := runScenario(t, c.scenario, 2, nil)
			if code != c.code || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("exit code %d, error %v, want %d, %q", code, err, c.code, c.want)
			}
		})
	}
}

// TestNoPlaceForReports: a group whose reports have no folder does not start, and writes nothing where it happens to be.
func TestNoPlaceForReports(t *testing.T) {
	g, err := config.Local(2)
	if err != nil {
		t.Fatal(err)
	}
	g.Logs, g.Name = "", "test-no-logs"
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	code, err := Run(context.Background(), RunOptions{Group: g, Program: "/bin/true", Args: []string{"exit7"}, Library: self})
	if code != ExitConfig || err == nil || !strings.Contains(err.Error(), "no folder for reports") {
		t.Errorf("exit code %d, error %v", code, err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("it wrote %v (%v)", left, err)
	}
}

func TestStopFromOutside(t *testing.T) {
	g, err := config.Local(2)
	if err != nil {
		t.Fatal(err)
	}
	g.Logs, g.Name = t.TempDir(), "test-stop"
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 500*time.Millisecond, errors.New("enough"))
	defer cancel()
	code, err := Run(ctx, RunOptions{Group: g, Program: "/bin/true", Args: []string{"late-leader"}, Library: self})
	if code != ExitDivergence || err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("exit code %d, error %v", code, err)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program, path string
		code          int
		want          string
	}{
		{"true", "PATH=/nowhere:/bin", 0, "/bin/true"},
		{"true", "HOME=/", 0, "/usr/bin/true"},
		{"/bin/true", "", 0, "/bin/true"},
		{"", "", 127, "the program's name is empty"},
		{"no-such", "PATH=/bin", 127, "no such program in PATH (/bin)"},
		{"/no/such", "", 127, "there is no such program"},
		{plain, "", 126, "cannot be executed"},
		{"plain", "PATH=" + dir, 126, "cannot be executed"},
		{dir + "/", "", 126, "is a folder"},
		{pipe, "", 126, "is a pipe"},
		{"pipe", "PATH=" + dir, 126, "is a pipe"},
		{"/dev/null", "", 126, "a device"},
	} {
		path, code, err := resolve(c.program, []string{c.path})
		got := path
		if err != nil {
			got = err.Error()
		}
		if code != c.code || !strings.Contains(got, c.want) {
			t.Errorf("%q with %q: %d, %q, want %d, %q", c.program, c.path, code, got, c.code, c.want)
		}
	}
}
