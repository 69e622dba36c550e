package engines

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
)

const (
	commandLimit = 60 * time.Second
	endLimit     = 30 * time.Second
)

// spec says what to run. Zero values mean: the image's command as root, no network, one variant, unmonitored.
type spec struct {
	id       string
	args     []string // in the place of the image's command
	env      []string
	hostNet  bool
	user     string // "33:33"
	readonly bool
	init     bool              // with the engine's own init as PID 1
	data     string            // content of /data/file, from a folder that is bound there
	asks     map[string]string // keys of io.monmod.
}

// bound is the folder of the host that is bound at /data.
func (s spec) bound() string { return filepath.Join(tests.dir, "data-"+s.id) }

// variants asks for n variants of one container.
func variants(n int) map[string]string { return map[string]string{"variants": strconv.Itoa(n)} }

// engine runs containers, each as its users would say it.
type engine interface {
	name() string
	// start starts a container that goes on by itself. Failing to start it is a result.
	start(t *testing.T, s spec) proc.Result
	exec(t *testing.T, id string, args ...string) proc.Result
	pause(t *testing.T, id string)
	resume(t *testing.T, id string)
	// stop asks the container to end and ends it by force after the time.
	stop(t *testing.T, id string, grace time.Duration)
	kill(t *testing.T, id, signal string)
	// wait waits for the end and returns the exit code.
	wait(t *testing.T, id string) int
	// output is what the container has written.
	output(t *testing.T, id string) string
	// remove removes the container, by force where it still runs. One that is not there is no error.
	remove(t *testing.T, id string)
}

// engines lists all, for tests that say the same of each.
func engines() []engine { return []engine{docker{}, tests.podman, tests.runc} }

// everyEngine runs a test for each engine.
func everyEngine(t *testing.T, test func(t *testing.T, e engine)) {
	for _, e := range engines() {
		t.Run(e.name(), func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

// started starts a container, which is removed at the test's end.
func started(t *testing.T, e engine, s spec) string {
	t.Helper()
	if s.data != "" {
		if err := errors.Join(os.Mkdir(s.bound(), 0o755), os.WriteFile(filepath.Join(s.bound(), "file"), []byte(s.data), 0o644)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(s.bound()) })
	}
	t.Cleanup(func() { e.remove(t, s.id) })
	if r := e.start(t, s); r.Status != 0 {
		t.Fatalf("start %s: %s\n%s", s.id, r, logs(t))
	}
	return s.id
}

// finished runs a container to its end, removes it, and returns its exit code and what it wrote.
func finished(t *testing.T, e engine, s spec) (int, string) {
	t.Helper()
	started(t, e, s)
	code := e.wait(t, s.id)
	out := e.output(t, s.id)
	e.remove(t, s.id)
	return code, out
}

// command runs a command of an engine's client.
func command(t *testing.T, cmd *exec.Cmd) proc.Result {
	t.Helper()
	r, err := proc.Run(proc.Spec{Argv: cmd.Args, Env: cmd.Environ(), Deadline: commandLimit})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// must runs a command that has to succeed and returns what it printed.
func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	r := command(t, cmd)
	if r.Status != 0 {
		t.Fatalf("%s\n%s", r, logs(t))
	}
	return string(r.Stdout)
}

// await waits until done, or fails with what was waited for.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(endLimit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s\n%s", endLimit, what, logs(t))
		}
	}
}

// number parses a decimal that a program printed.
func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(fmt.Errorf("a number was to be printed: %w", err))
	}
	return n
}
