package programs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

// Statuses of monmod's own.
const (
	statusUsage         = 64
	statusConfiguration = 78
)

// TestCommandLine checks what `monmod run` refuses, and with which status. Nothing of the program may have run.
func TestCommandLine(t *testing.T) {
	requireBuilt(t)
	base := scratch.Dir(t)
	write := func(name, text string) string {
		path := filepath.Join(base, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe, script := filepath.Join(base, "pipe"), filepath.Join(base, "script")
	if err := errors.Join(unix.Mkfifo(pipe, 0o755), os.WriteFile(script, []byte("#!"+pipe+"\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	shebangless := filepath.Join(base, "shebangless")
	if err := os.WriteFile(shebangless, []byte("echo hi\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	group := "leader: 1\nvariants: [{id: 1}, {id: 2}]\n"
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"no program", []string{"--variants", "2"}, statusUsage, "program"},
		{"unknown flag", []string{"--variant", "2", "--", "touch", "ran"}, statusUsage, "--variant"},
		{"variants that are no number", []string{"--variants", "two", "--", "touch", "ran"}, statusUsage, "two"},
		{"one variant", []string{"--variants", "1", "--", "touch", "ran"}, statusUsage, "variants"},
		{"policy that there is not", []string{"--variants", "2", "--policy", "some", "--", "touch", "ran"}, statusUsage, "some"},
		{"policy of a later version", []string{"--variants", "2", "--policy", "commit", "--", "touch", "ran"}, statusConfiguration, "not in this version"},
		{"no such file", []string{"--id", "1", "--config", filepath.Join(base, "none.yaml"), "--", "touch", "ran"}, statusConfiguration, "none.yaml"},
		{"unknown key", []string{"--id", "1", "--config", write("key.yaml", group+"leeder: 2\n"), "--", "touch", "ran"}, statusConfiguration, "leeder"},
		{"entry of a later version", []string{"--id", "1", "--config", write("entry.yaml", group+"entry: patched\n"), "--", "touch", "ran"}, statusConfiguration, "not in this version"},
		{"no such program", []string{"--variants", "2", "--", "/none/such"}, 127, "/none/such"},
		{"not a program", []string{"--variants", "2", "--", write("plain", "text")}, 126, "plain"},
		{"a script that names no interpreter", []string{"--variants", "2", "--", shebangless}, 126, "write #!/bin/sh as its first line, or run it by sh): " + shebangless},
		{"a pipe", []string{"--variants", "2", "--", pipe}, 126, "is a pipe"},
		{"a pipe as interpreter", []string{"--variants", "2", "--", script}, 126, "not a program: " + pipe},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := proc.Run(proc.Spec{
				Argv: append([]string{target.Built("monmod"), "run", "--logs", target.Logs(base)}, c.args...), Dir: base, Env: target.Env(base), Deadline: 20 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != c.status || !bytes.Contains(r.Stderr, []byte(c.says)) || len(r.Stdout) > 0 {
				t.Errorf("want status %d and a message with %q, got %s", c.status, c.says, r)
			}
			if _, err := os.Stat(filepath.Join(base, "ran")); err == nil {
				t.Error("the program ran")
			}
			if left := proc.Orphans(orphanGrace); len(left) > 0 {
				t.Errorf("processes left behind: %q", left)
			}
		})
	}
}

// TestPoorStart starts monmod where something is missing that every program has. It says what, and how to come by it.
func TestPoorStart(t *testing.T) {
	requireBuilt(t)
	for _, c := range []struct {
		name   string
		before string
		status int
		says   string
	}{
		{"few open files", "ulimit -n 20", statusConfiguration, "the limit of open files is 20, and"},
		{"hardly any open files", "ulimit -n 6", statusConfiguration, "the limit of open files is 6, and"},
		{"no open files", "ulimit -n 4", statusConfiguration, "raise the limit of open files (ulimit -n)"},
		{"few open files for the program", "ulimit -Sn 12", statusConfiguration, "the limit of open files is 12, and"},
		{"a deleted folder", "mkdir gone && cd gone && rmdir ../gone", statusDivergence, "its working directory was deleted, or has too long a path: start it in another one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := scratch.Dir(t)
			r, err := proc.Run(proc.Spec{
				Argv: []string{"/bin/bash", "-c", c.before + ` && exec "$@"`, "-", target.Built("monmod"), "run", "--logs", target.Logs(base), "--variants", "2", "--",
					"/bin/touch", filepath.Join(base, "ran")},
				Dir: base, Env: target.Env(base), Deadline: 20 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != c.status || !bytes.Contains(r.Stderr, []byte(c.says)) || bytes.Count(r.Stderr, []byte("\n")) != 1 {
				t.Errorf("want status %d and one line with %q, got %s", c.status, c.says, r)
			}
			if _, err := os.Stat(filepath.Join(base, "ran")); err == nil {
				t.Error("the program ran")
			}
		})
	}
}

// TestUnprivileged runs a program monitored by a user who may do nothing special.
func TestUnprivileged(t *testing.T) {
	requireBuilt(t)
	if os.Geteuid() != 0 {
		t.Skip("it takes root to become another user; all other tests run unprivileged already")
	}
	const nobody = 65534
	base := scratch.Dir(t)
	// The built files are copied: the source tree may lie where nobody may go.
	for _, name := range []string{"monmod", "libmonmod.so"} {
		data, err := os.ReadFile(target.Built(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own := filepath.Join(base, "own")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{own, filepath.Join(base, "run"), filepath.Join(base, "state")} {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	r, err := proc.Run(proc.Spec{
		Argv: []string{"/usr/bin/setpriv", "--reuid", fmt.Sprint(nobody), "--regid", fmt.Sprint(nobody), "--clear-groups", "--no-new-privs",
			filepath.Join(base, "monmod"), "run", "--variants", "2", "--logs", target.Logs(base), "--",
			"/usr/bin/python3", "-c", "import os; open('made', 'w').write('by nobody'); print(os.getuid(), os.getgroups())"},
		Dir: own, Env: target.Env(base), Deadline: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 0 || string(r.Stdout) != "65534 []\n" {
		t.Errorf("want status 0 and the program's output: %s", r)
	}
	if made, err := os.ReadFile(filepath.Join(own, "made")); err != nil || string(made) != "by nobody" {
		t.Errorf("the file it made holds %q: %v", made, err)
	}
	if left := proc.Orphans(orphanGrace); len(left) > 0 {
		t.Errorf("processes left behind: %q", left)
	}
}
