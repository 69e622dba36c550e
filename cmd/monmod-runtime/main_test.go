package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/version"
)

// TestTransparent: a container that asks for nothing is the low-level runtime's.
func TestTransparent(t *testing.T) {
	h := newHost(t) // without a library: it is not looked for
	dir := h.bundle("echo out; echo err >&2; exit 7", nil)
	before, err := os.ReadFile(filepath.Join(dir, "config.json"))
	h.must(err)
	id := h.name("plain")
	for _, args := range [][]string{{"run", "--bundle", dir, id}, {"run", id, "-b", dir}} {
		if r := h.run(args...); r != (result{7, "out\n", "err\n"}) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, "config.json"))
	h.must(err)
	if !bytes.Equal(before, after) {
		t.Error("config.json was changed")
	}
	h.nothingLeft(id)
	direct, err := exec.Command("runc", "--version").Output()
	h.must(err)
	first, rest, _ := strings.Cut(string(direct), "\n")
	for _, args := range [][]string{{"--version"}, {"-v"}} {
		r := h.run(args...)
		own, others, ok := strings.Cut(strings.TrimPrefix(r.stdout, first+"\n"), "\n")
		// dockerd takes the last line with the word "version" for the runtime's.
		if !ok || !strings.HasPrefix(r.stdout, "runc version ") || others != rest || own != "monmod-runtime: "+version.Number || strings.Contains(own, " version") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := h.run("--help", "--version"); strings.Contains(r.stdout, "monmod-runtime:") {
		t.Errorf("--help --version: %+v", r)
	}
	if r := h.run("run", "--bundle", dir); r.code == 0 || r.stdout != "" || !strings.Contains(r.stderr, "no container ID was given: monmod-runtime run --bundle DIR ID") {
		t.Errorf("run without an ID: %+v", r)
	}
	direct, err = exec.Command("runc").Output()
	h.must(err)
	if bare, err := exec.Command(h.runtime).Output(); err != nil || !bytes.Equal(bare, direct) || len(bare) == 0 {
		t.Errorf("without a command: %q, %v", bare, err)
	}
	if r := h.run("checkpoint", "--help"); r.code != 0 {
		t.Errorf("checkpoint --help: %+v", r)
	}
	if r := h.run("restore", "--lsm-mount-context"); !strings.Contains(r.stdout+r.stderr, "flag needs an argument") {
		t.Errorf("restore --lsm-mount-context: %+v", r)
	}
	r := h.run("features")
	var f struct {
		OCIVersionMax                      string            `json:"ociVersionMax"`
		Annotations                        map[string]string `json:"annotations"`
		PotentiallyUnsafeConfigAnnotations []string          `json:"potentiallyUnsafeConfigAnnotations"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &f); err != nil || f.OCIVersionMax == "" || f.Annotations["org.monmod.version"] == "" ||
		f.Annotations["io.github.seccomp.libseccomp.version"] == "" || fmt.Sprint(f.PotentiallyUnsafeConfigAnnotations) != "[io.monmod.]" {
		t.Errorf("features: %+v, %v", r, err)
	}
}

// TestBundleAgain: a bundle is as it was when its container has gone, so that another runtime, or monmod check, can use it.
func TestBundleAgain(t *testing.T) {
	h := newHost(t).library()
	dir := h.bundle("echo out; exit 7", asking)
	before, err := os.ReadFile(filepath.Join(dir, "config.json"))
	h.must(err)
	same := func(after string) {
		t.Helper()
		if now, err := os.ReadFile(filepath.Join(dir, "config.json")); err != nil || !bytes.Equal(before, now) {
			t.Errorf("after %s config.json is another (%v): %s", after, err, now)
		}
	}
	for range 2 {
		id := h.name("again")
		if r := h.run("run", "--bundle", dir, id); r.code != 7 || r.stdout != "out\n" {
			t.Errorf("%+v", r)
		}
		same("run")
		h.nothingLeft(id)
	}
	id := h.name("made")
	for _, args := range [][]string{{"create", "--bundle", dir, id}, {"delete", "--force", id}} {
		if r := h.run(args...); r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
	}
	same("delete")
	h.nothingLeft(id)
	two := []string{h.name("first"), h.name("second")}
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		for _, id := range two {
			if r := h.run("create", "--bundle", dir, id); r.code != 0 {
				t.Fatalf("create of two: %+v", r)
			}
		}
		for _, i := range order {
			if r := h.run("delete", "--force", two[i]); r.code != 0 {
				t.Fatalf("delete of two: %+v", r)
			}
			h.nothingLeft(two[i])
		}
		same("two")
	}
	// A host that loses power has what lies on a disk afterwards, and nothing below /run.
	if r := h.run("--low-level", "/bin/true", "create", "--bundle", dir, id); r.code != 0 {
		t.Fatalf("create by a runtime that does nothing: %+v", r)
	}
	h.must(os.RemoveAll(control.ContainerDir(id)))
	if now, err := os.ReadFile(filepath.Join(dir, "config.json")); err != nil || bytes.Equal(before, now) {
		t.Errorf("config.json was not rewritten (%v)", err)
	}
	if r := h.run("run", "--bundle", dir, id); r.code != 7 || r.stdout != "out\n" {
		t.Errorf("%+v", r)
	}
	same("a loss of power")
	h.nothingLeft(id)
	if left, _ := filepath.Glob(filepath.Join(dir, ".config.json-*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestRefused: what asks for monitoring and cannot have it does not start, says
// why in the log and on stderr, and leaves nothing behind.
func TestRefused(t *testing.T) {
	h := newHost(t)
	full := newHost(t).library()
	lonely := newHost(t).library()
	h.must(os.Remove(filepath.Join(lonely.dir, "bin/monmod")))
	for _, c := range []struct {
		name string
		host *host
		edit func(map[string]any)
		args string // before the command
		want string
	}{
		{"library", h, asking, "", "find the library: there is neither"},
		{"supervisor", lonely, asking, "", "find the supervisor: there is no program"},
		{"require", full, nil, "--require", "this host requires it"},
		{"kmod", full, func(s map[string]any) {
			s["annotations"] = map[string]string{"io.monmod.variants": "2", "io.monmod.backend": "kmod"}
		}, "", "backend kmod: load the kernel module"},
		{"missing in PATH", full, arguments("nosuch"), "", `unable to start container process: exec: "nosuch": executable file not found in $PATH`},
		{"missing", full, arguments("/no/such"), "", `exec: "/no/such": stat /no/such: no such file or directory`},
		{"not executable", full, arguments("/bin/data"), "", `exec: "/bin/data": permission denied`},
		{"unknown key", full, func(s map[string]any) { s["annotations"] = map[string]string{"io.monmod.varaints": "2"} }, "", "unknown annotation io.monmod.varaints"},
		{"preload of an image", full, func(s map[string]any) {
			asking(s)
			s["process"].(map[string]any)["env"] = []string{"PATH=/bin", "MONMOD_INJECT=preload"}
		}, "", "variable MONMOD_INJECT asks for preload, which is weaker than launch"},
		{"doubt", full, asking, "--log-rotate", "the global flag --log-rotate is not known, so it is not certain"},
		{"user namespace", full, func(s map[string]any) {
			asking(s)
			l := s["linux"].(map[string]any)
			l["namespaces"] = append(l["namespaces"].([]any), map[string]string{"type": "user"})
		}, "", "has a user namespace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.host.bundle("echo it runs", c.edit)
			before, err := os.ReadFile(filepath.Join(dir, "config.json"))
			h.must(err)
			log := filepath.Join(dir, "log.json")
			id := c.host.name("refused")
			args := append([]string{"--log", log, "--log-format", "json"}, strings.Fields(c.args)...)
			r := c.host.run(append(args, "run", "--bundle", dir, id)...)
			if r.code == 0 || r.stdout != "" || !strings.Contains(r.stderr, c.want) {
				t.Errorf("got %+v, want %q", r, c.want)
			}
			data, err := os.ReadFile(log)
			h.must(err)
			var entry struct{ Level, Msg string }
			if err := json.Unmarshal(data, &entry); err != nil || entry.Level != "error" || entry.Msg != strings.TrimSpace(r.stderr) {
				t.Errorf("logged %q (%v)", data, err)
			}
			if after, err := os.ReadFile(filepath.Join(dir, "config.json")); err != nil || !bytes.Equal(before, after) {
				t.Errorf("config.json was changed (%v)", err)
			}
			c.host.nothingLeft(id)
		})
	}
}

// TestMaker: a container is its own runtime's, also when another one is set by now.
func TestMaker(t *testing.T) {
	h := newHost(t).library()
	made, words := filepath.Join(h.dir, "made-runc"), filepath.Join(h.dir, "words")
	h.must(os.WriteFile(made, []byte("#!/bin/sh\necho \"$@\" >>"+words+"\nexec runc \"$@\"\n"), 0o755))
	id := h.name("maker")
	if r := h.run("--low-level", made, "create", "--bundle", h.bundle("exec sleep 1000", asking), id); r.code != 0 {
		t.Fatalf("create: %+v", r)
	}
	for _, args := range [][]string{{"start", id}, {"state", id}, {"kill", id, "KILL"}, {"delete", "--force", id}} {
		h.must(os.WriteFile(words, nil, 0o600))
		r := h.run(args...)
		said, err := os.ReadFile(words)
		h.must(err)
		if r.code != 0 || !strings.Contains(string(said), strings.Join(args, " ")) {
			t.Errorf("%v: %+v, its runtime got %q", args, r, said)
		}
	}
	h.nothingLeft(id)
}

// TestAroundTheWrapper: runc takes these words for a command that it executes, so they get nobody past what is required.
func TestAroundTheWrapper(t *testing.T) {
	h := newHost(t).library()
	plain, monitored := h.bundle("echo it runs", nil), h.bundle("exec sleep 1000", func(spec map[string]any) {
		spec["annotations"] = map[string]string{"io.monmod.variants": "2", "io.monmod.exec": "deny"}
	})
	id, running := h.name("around"), h.name("running")
	for _, args := range [][]string{{"create", "--bundle", monitored, running}, {"start", running}} {
		if r := h.run(args...); r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--require", "--", "run", "--bundle", plain, id}, "this host requires monitoring"},
		{[]string{"--require", "run", "--help=false", "--bundle", plain, id}, "this host requires it"},
		{[]string{"--", "run", "--bundle", monitored, id}, "asks for monitoring"},
		{[]string{"--", "exec", running, "echo", "it runs"}, "exec is refused"},
		{[]string{"exec", "--help=false", running, "echo", "it runs"}, "exec is refused"},
	} {
		if r := h.run(c.args...); r.code == 0 || strings.Contains(r.stdout, "it runs") || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: %+v, want %q", c.args, r, c.want)
		}
	}
	if r := h.run("run", "--help=true", "--bundle", plain, id); r.code != 0 || strings.Contains(r.stdout, "it runs") {
		t.Errorf("--help=true: %+v", r)
	}
	if r := h.run("delete", "--force", running); r.code != 0 {
		t.Errorf("delete: %+v", r)
	}
	h.nothingLeft(running)
	h.nothingLeft(id)
}

// TestLifecycle: what an engine does with a container, and what the supervisor
// gets to know of it.
func TestLifecycle(t *testing.T) {
	for _, low := range []string{"runc", "crun"} {
		t.Run(low, func(t *testing.T) {
			path, err := exec.LookPath(low)
			if err != nil {
				t.Skip(err)
			}
			h := newHost(t).library()
			if r := h.run("--low-level", path, "run", "--bundle", h.bundle("true", nil), h.name("probe")); r.code != 0 {
				t.Skipf("%s runs no container on this host: %s", low, r.stderr)
			}
			lifecycle(t, h, path)
		})
	}
}

func lifecycle(t *testing.T, h *host, low string) {
	dir := h.bundle("echo $0 $MONMOD_VARIANTS; touch /written 2>/dev/null && echo wrote; exec sleep 1000", func(spec map[string]any) {
		spec["process"].(map[string]any)["env"] = []string{"PATH=/bin", "MONMOD_VARIANTS=2"}
		spec["root"].(map[string]any)["readonly"] = false
	})
	id := h.name("life")
	run := func(args ...string) result { return h.run(append([]string{"--low-level", low}, args...)...) }
	ok := func(args ...string) result {
		t.Helper()
		r := run(args...)
		if r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
		return r
	}
	ok("create", "--bundle", dir, "--pid-file", filepath.Join(dir, "pid"), id)
	c, err := control.Dial(id)
	h.must(err)
	status, err := c.Status(context.Background())
	c.Close()
	h.must(err)
	if sid, err := sessionOf(status.Supervisor); err != nil || sid != status.Supervisor {
		t.Errorf("the supervisor has session %d, not its own %d (%v)", sid, status.Supervisor, err)
	}
	if r := run("create", "--bundle", dir, id); r.code == 0 || !strings.Contains(r.stderr, "already exists") {
		t.Errorf("second create: %+v", r)
	}
	ok("start", id)
	if state := ok("state", id); !strings.Contains(state.stdout, `"status": "running"`) {
		t.Errorf("state: %s", state.stdout)
	}
	await(t, func() bool { return strings.Count(told(t, dir), "hello") == 2 })
	if r := ok("exec", "-e", "A=b", id, "sh", "-c", "echo in; ls /written; ls /dev/monmod"); r.stdout != "in\n/written\nlibmonmod.so\nsock\n" {
		t.Errorf("exec: %+v", r)
	}
	process := filepath.Join(dir, "process.json")
	h.must(os.WriteFile(process, []byte(`{"args":["echo","from file"],"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0}}`), 0o600))
	if r := ok("exec", "--process", process, id); r.stdout != "from file\n" {
		t.Errorf("exec --process: %+v", r)
	}
	follower := func() string {
		data, err := exec.Command(low, "--root", control.FollowersRoot(), "state", id+".2").Output()
		h.must(err)
		return string(data)
	}
	ok("pause", id)
	if s := follower(); !strings.Contains(s, `"paused"`) {
		t.Errorf("the follower is not paused: %s", s)
	}
	ok("resume", id)
	if s := follower(); !strings.Contains(s, `"running"`) {
		t.Errorf("the follower does not run: %s", s)
	}
	ok("update", "--pids-limit", "50", id)
	if r := h.runWith(strings.NewReader(`{"pids":{"limit":60}}`), "--low-level", low, "update", "--resources", "-", id); r.code != 0 {
		t.Errorf("update from stdin: %+v", r)
	}
	if r := run("checkpoint", "--image-path", dir, id); r.code == 0 || !strings.Contains(r.stderr, "cannot be checkpointed") {
		t.Errorf("checkpoint: %+v", r)
	}
	ok("kill", id, "KILL")
	await(t, func() bool { return strings.Contains(run("state", id).stdout, `"stopped"`) })
	ok("delete", id)
	h.nothingLeft(id)
	await(t, func() bool { return syscall.Kill(status.Supervisor, 0) != nil })
	want := "init true\nfollower true\nstart\nhello true\nhello true\n" +
		"exec [\"sh\" \"-c\" \"echo in; ls /written; ls /dev/monmod\"]\nexec [\"echo\" \"from file\"]\npause\nresume\n" +
		"update {\"pids\":{\"limit\":50}}\nupdate {\"pids\":{\"limit\":60}}\nkill killed\nstopped\n"
	got := strings.ReplaceAll(strings.ReplaceAll(told(t, dir), "hello 1 ", "hello "), "hello 2 ", "hello ")
	if got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
	// The bundle was rewritten; it starts again as it is.
	ok("create", "--bundle", dir, id)
	ok("delete", "--force", id)
	h.nothingLeft(id)
}

// TestLinkedRoot: Docker's state folder lies below /var/run, which is a link, and is not there after a boot. What was created
// so is found again by every later command.
func TestLinkedRoot(t *testing.T) {
	h := newHost(t).library()
	h.must(os.Mkdir(filepath.Join(h.dir, "run"), 0o755))
	h.must(os.Symlink("run", filepath.Join(h.dir, "var")))
	h.root = filepath.Join(h.dir, "var/docker/moby")
	dir := h.bundle("exec sleep 1000", func(spec map[string]any) {
		spec["annotations"] = map[string]string{"io.monmod.variants": "2", "io.monmod.exec": "deny"}
	})
	id := h.name("linked")
	ok := func(args ...string) {
		t.Helper()
		if r := h.run(args...); r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
	}
	ok("create", "--bundle", dir, id)
	ok("start", id)
	ok("state", id)
	if r := h.run("exec", id, "echo", "x"); r.code == 0 || !strings.Contains(r.stderr, "exec is refused") {
		t.Errorf("exec: %+v", r)
	}
	ok("kill", id, "KILL")
	await(t, func() bool { return strings.Contains(h.run("state", id).stdout, `"stopped"`) })
	ok("delete", id)
	h.nothingLeft(id)
	if got := told(t, dir); !strings.Contains(got, "start\n") || !strings.Contains(got, "kill killed\nstopped\n") {
		t.Errorf("told\n%s", got)
	}
}

func sessionOf(pid int) (int, error) { return unix.Getsid(pid) }

func told(t *testing.T, bundle string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(bundle, "told"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

// TestRun: one command from create to delete, with the program's exit code.
func TestRun(t *testing.T) {
	h := newHost(t).library()
	dir := h.bundle("echo one; exit 5", asking)
	id := h.name("run")
	if r := h.run("run", "--bundle", dir, id); r.code != 5 || r.stdout != "one\n" {
		t.Errorf("%+v", r)
	}
	h.nothingLeft(id)
}

// TestSupervisorFails: the engine's user reads the supervisor's words.
func TestSupervisorFails(t *testing.T) {
	h := newHost(t).library()
	dir := h.bundle("echo one", func(spec map[string]any) {
		asking(spec)
		spec["process"].(map[string]any)["env"] = []string{"PATH=/bin", "FAIL=early"}
	})
	id := h.name("early")
	r := h.run("run", "--bundle", dir, id)
	if r.code == 0 || r.stdout != "" || !strings.Contains(r.stderr, "it ended: exit status 1: the arena has no room") {
		t.Errorf("%+v", r)
	}
	if r := h.run("delete", "--force", id); r.code != 0 {
		t.Errorf("delete: %+v", r)
	}
	h.nothingLeft(id)
}

// TestSupervisorGone: a supervisor that was killed holds nothing up, and no
// container starts without it.
func TestSupervisorGone(t *testing.T) {
	h := newHost(t).library()
	dir := h.bundle("echo one", asking)
	id := h.name("gone")
	if r := h.run("create", "--bundle", dir, id); r.code != 0 {
		t.Fatalf("create: %+v", r)
	}
	c, err := control.Dial(id)
	h.must(err)
	status, err := c.Status(context.Background())
	c.Close()
	h.must(err)
	h.must(syscall.Kill(status.Supervisor, syscall.SIGKILL))
	await(t, func() bool { return syscall.Kill(status.Supervisor, 0) != nil })
	if r := h.run("start", id); r.code == 0 || !strings.Contains(r.stderr, "the supervisor does not answer") {
		t.Errorf("start: %+v", r)
	}
	if r := h.run("delete", "--force", id); r.code != 0 {
		t.Errorf("delete: %+v", r)
	}
	h.nothingLeft(id)
}

func TestExecDenied(t *testing.T) {
	h := newHost(t).library()
	dir := h.bundle("exec sleep 1000", func(spec map[string]any) {
		spec["annotations"] = map[string]string{"io.monmod.variants": "2", "io.monmod.exec": "deny"}
	})
	id := h.name("deny")
	for _, args := range [][]string{{"create", "--bundle", dir, id}, {"start", id}} {
		if r := h.run(args...); r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"exec", id, "echo", "x"}, {"--new-flag", "exec", id, "echo", "x"}, {"exec", "--new-flag", id, "echo"}} {
		if r := h.run(args...); r.code == 0 || !strings.Contains(r.stderr, "exec is refused") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := h.run("delete", "--force", id); r.code != 0 {
		t.Errorf("delete: %+v", r)
	}
	h.nothingLeft(id)
}
