package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds one run; a run that takes longer hangs. MONMOD_PATIENCE says how long that is where all is slow.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("MONMOD_PATIENCE")); err == nil {
		return d
	}
	return 2 * time.Minute
}()

// input is what every program finds on its standard input, a pipe.
const input = "twenty-eight bytes of input\n"

// A result is what the parent of a program can see of it.
type result struct {
	stdout, stderr string
	status         int // as a shell has it: 128 + n for signal n
}

// A place is the surroundings of the runs that are compared: one path, made anew for each run, and one environment.
type place struct {
	base  string
	stdin string // a file that is standard input instead of the pipe
}

func newPlace(t testing.TB) place {
	t.Helper()
	// Not t.TempDir: the names of subtests would make paths of sockets too long.
	base, err := os.MkdirTemp("", "mmconf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	// Programs that give up their privileges still stand in it.
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	return place{base: base}
}

func (p place) environment() []string {
	return []string{"PATH=/usr/bin:/bin", "HOME=/", "LANG=C", "TZ=UTC", "CONFORMANCE=a b=c",
		"XDG_RUNTIME_DIR=" + p.base + "/run", "XDG_STATE_HOME=" + p.base + "/state"}
}

// run runs a command in an empty folder and waits for its end.
func (p place) run(t testing.TB, argv ...string) result {
	t.Helper()
	work := filepath.Join(p.base, "work")
	for _, dir := range []string{work, p.base + "/run", p.base + "/state"} {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
			t.Fatalf("making an empty folder: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env = work, p.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	if p.stdin != "" {
		file, err := os.Open(p.stdin)
		if err != nil {
			t.Fatalf("opening standard input: %v", err)
		}
		defer file.Close()
		cmd.Stdin = file
	}
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	r := result{stdout: stdout.String(), stderr: stderr.String()}
	if ctx.Err() != nil {
		t.Errorf("%s did not end within %v; it printed last:\n%s%s", strings.Join(argv, " "), patience, tail(r.stdout), tail(r.stderr))
		r.status = -1
		return r
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("running %s: %v", strings.Join(argv, " "), err)
	}
	switch w := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case w.Signaled():
		r.status = 128 + int(w.Signal())
	default:
		r.status = w.ExitStatus()
	}
	return r
}

// native runs a case of a program by itself, monitored as two variants.
func (p place) native(t testing.TB, path, name string) result {
	t.Helper()
	return p.run(t, path, name)
}

func (p place) monitored(t testing.TB, path, name string) result {
	t.Helper()
	return p.run(t, monmod(t), "run", "--variants", "2", "--logs", p.base+"/state", "--", path, name)
}

// tail gives the last lines of a text.
func tail(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "")
}

// difference describes where two outputs part, line by line, "" if they do not.
func difference(want, got string) string {
	if want == got {
		return ""
	}
	w, g := strings.Split(strings.TrimSuffix(want, "\n"), "\n"), strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	var out strings.Builder
	shown := 0
	for i := 0; i < min(len(w), len(g)) && shown < 12; i++ {
		if w[i] != g[i] {
			fmt.Fprintf(&out, "line %d\n  native    %s\n  monitored %s\n", i+1, w[i], g[i])
			shown++
		}
	}
	switch {
	case len(g) < len(w):
		fmt.Fprintf(&out, "monitored it ends %d lines early, before\n  %s\n", len(w)-len(g), w[len(g)])
	case len(g) > len(w):
		fmt.Fprintf(&out, "monitored it goes on for %d lines, with\n  %s\n", len(g)-len(w), g[len(w)])
	}
	return out.String()
}

// withoutNotices leaves out what the monitor itself says on standard error.
func withoutNotices(stderr string) string {
	var kept strings.Builder
	for _, line := range strings.SplitAfter(stderr, "\n") {
		if !strings.HasPrefix(line, "monmod") && !strings.HasPrefix(line, "time=") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// TestMain forbids core files, because many cases end by a signal, and keeps descriptors that a shell left open from the
// programs, which print the numbers of theirs.
func TestMain(m *testing.M) {
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		fmt.Fprintln(os.Stderr, "keeping descriptors from programs:", err)
		os.Exit(1)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		fmt.Fprintln(os.Stderr, "forbidding core files:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
