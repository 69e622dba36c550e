package engines

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/control"
)

// A low-level runtime that takes its time with followers, as on a host that is busy, or that fails with them.

// hindered is runc, but that what a shell says is done first for commands that concern followers. Their words are in $*. It is there until
// what it made is removed, so it is to be called before that is seen to.
func hindered(t *testing.T, id, first string) string {
	t.Helper()
	path, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *%s*) %s;; esac\nexec %s \"$@\"\n", control.FollowersRoot(), first, path)
	file := filepath.Join(tests.dir, id+"-runc")
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
	return file
}

// TestSlowStart: making followers may take longer than an answer to anything else.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	r, id := tests.runc, "mm-slowstart-runc"
	b := r.bundle(t, spec{id: id, args: []string{"/usr/bin/sleep", "300"}, asks: map[string]string{"variants": "2", "group": id}})
	slow := hindered(t, id, fmt.Sprintf(`case "$*" in *" create "*) sleep %.0f;; esac`, (control.DefaultTimeout+time.Second).Seconds()))
	t.Cleanup(func() { r.remove(t, id) })
	if got := r.run(t, id, b, "--low-level", slow); got.Status != 0 {
		t.Fatalf("%s\n%s", got, logs(t))
	}
	compared(t, id, 10)
	r.kill(t, id, "KILL")
	if code := r.wait(t, id); code != 128+9 {
		t.Errorf("killed, it ended with %d", code)
	}
}

// TestRemovedWhileItStarts: an engine that has lost its patience with a start is told of the end when no follower is left, nor
// will be made.
func TestRemovedWhileItStarts(t *testing.T) {
	t.Parallel()
	r, id := tests.runc, "mm-removedwhileitstarts-runc"
	b := r.bundle(t, spec{id: id, args: []string{"/usr/bin/sleep", "300"}, asks: variants(2)})
	begun := r.file(id, "begun")
	// longer than Stopped waits for the end of a group that it does not find
	slow := hindered(t, id, fmt.Sprintf(`case "$*" in *" create "*) touch %s; sleep 8;; esac`, begun))
	t.Cleanup(func() { r.remove(t, id) })
	created := make(chan error, 1)
	go func() {
		out, err := r.client("--low-level", slow, "create", "--bundle", string(b), id).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "the engine removes the container") {
			err = fmt.Errorf("create of what is removed meanwhile: %v\n%s", err, out)
		} else {
			err = nil
		}
		created <- err
	}()
	await(t, "the making of the follower", func() bool { _, err := os.Stat(begun); return err == nil })
	c, err := control.Dial(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stopped(context.Background()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(control.FollowersRoot()); err != nil {
		t.Error(err)
	} else {
		for _, e := range left {
			if strings.HasPrefix(e.Name(), id) {
				t.Errorf("told that all is over, there is %s", e.Name())
			}
		}
	}
	c.Close()
	if err := <-created; err != nil {
		t.Error(err)
	}
}

// TestPauseThatFails: where one follower cannot be frozen none stays so, since the leader is not.
func TestPauseThatFails(t *testing.T) {
	t.Parallel()
	r, id := tests.runc, "mm-pausethatfails-runc"
	b := r.bundle(t, spec{id: id, args: []string{"/usr/bin/sleep", "300"}, asks: map[string]string{"variants": "3", "group": id}})
	failing := hindered(t, id, `case "$*" in *" pause "*.3) exit 1;; esac`)
	t.Cleanup(func() { r.remove(t, id) })
	if got := r.run(t, id, b, "--low-level", failing); got.Status != 0 {
		t.Fatalf("%s\n%s", got, logs(t))
	}
	compared(t, id, 10)
	if got := command(t, r.client("pause", id)); got.Status == 0 || !strings.Contains(string(got.Stderr), "pause follower 3") {
		t.Errorf("%s", got)
	}
	for _, follower := range []string{id + ".2", id + ".3"} {
		if state := must(t, exec.Command("runc", "--root", control.FollowersRoot(), "state", follower)); !strings.Contains(state, `"running"`) {
			t.Errorf("%s does not run: %s", follower, state)
		}
	}
	if got := statusOf(t, id); got.State != "running" {
		t.Errorf("the group is %s", got.State)
	}
}
