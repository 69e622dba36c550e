package engines

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/monmod/monmod/test/internal/proc"
)

// What Docker alone has.

// dockerRun is docker run for two variants, with further flags, to the container's end or, with --detach, to its start.
func dockerRun(t *testing.T, id string, flags []string, args ...string) (code int, out string) {
	t.Helper()
	d := docker{}
	t.Cleanup(func() { d.remove(t, id) })
	words := append([]string{"run", "--name", id, "--network", "none"}, d.asking(variants(2))...)
	words = append(append(append(words, flags...), imageName), args...)
	r := command(t, d.client(words...))
	return r.Status, string(r.Stdout) + string(r.Stderr)
}

// TestDockerLooks: stats, top and update see and reach the container of the leader, and update the followers' too.
func TestDockerLooks(t *testing.T) {
	t.Parallel()
	d := docker{}
	const id = "mm-dockerlooks-docker"
	if code, out := dockerRun(t, id, []string{"--detach", "--memory", "200m"}, "/usr/bin/sleep", "300"); code != 0 {
		t.Fatal(out)
	}
	compared(t, groupOf(t, d, id), 10)
	stats := must(t, d.client("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", id))
	if !strings.HasPrefix(stats, "1 ") || !strings.Contains(stats, "200MiB") || strings.Contains(stats, " 0B /") {
		t.Errorf("stats: %q, want one process and some memory of 200 MiB", stats)
	}
	if top := must(t, d.client("top", id)); !strings.Contains(top, "/usr/bin/sleep 300") || strings.Contains(top, "libmonmod") {
		t.Errorf("top: %s", top)
	}
	must(t, d.client("update", "--memory", "150m", "--memory-swap", "150m", id))
	full := d.inspect(t, id, "{{.Id}}")
	limits := found("/sys/fs/cgroup/memory/*/"+full+"*/memory.limit_in_bytes", "/sys/fs/cgroup/*/"+full+"*/memory.max")
	if len(limits) != 2 {
		t.Fatalf("the cgroups of leader and follower are %q", limits)
	}
	for _, path := range limits {
		if text, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(text)) != "157286400" {
			t.Errorf("%s: %s (%v), want 150 MiB", path, text, err)
		}
	}
	d.remove(t, id)
	if left := found("/sys/fs/cgroup/*/*/"+full+"*", "/sys/fs/cgroup/*/"+full+"*"); len(left) > 0 {
		t.Errorf("cgroups are left: %q", left)
	}
}

// found lists the files of several patterns: one for hosts with cgroups v1, one for v2.
func found(patterns ...string) []string {
	var all []string
	for _, pattern := range patterns {
		some, _ := filepath.Glob(pattern)
		all = append(all, some...)
	}
	return all
}

// TestDockerRestarts: each life of a container that Docker restarts is monitored anew.
func TestDockerRestarts(t *testing.T) {
	t.Parallel()
	d := docker{}
	const id = "mm-dockerrestarts-docker"
	if code, out := dockerRun(t, id, []string{"--detach", "--restart", "on-failure:2"}, "/usr/bin/false"); code != 0 {
		t.Fatal(out)
	}
	await(t, "two restarts", func() bool {
		return d.inspect(t, id, "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}") == "2 exited 1"
	})
	group, lives := groupOf(t, d, id), 0
	for _, e := range events(t, group) {
		if e.Kind == "started" {
			lives++
		}
	}
	if lives != 3 {
		t.Errorf("%d monitored lives, want 3\n%s", lives, logs(t))
	}
	noReports(t, group)
}

// TestDockerHealth: a health check is an exec, whose verdict Docker shows.
func TestDockerHealth(t *testing.T) {
	t.Parallel()
	d := docker{}
	const id = "mm-dockerhealth-docker"
	flags := []string{"--detach", "--health-cmd", "/bin/busybox test -f /etc/plain", "--health-interval", "1s", "--health-retries", "1"}
	// --health-cmd wants a shell: the check runs unmonitored, so it may fork.
	flags = append(flags, "--volume", "/usr/bin/busybox:/bin/sh:ro")
	if code, out := dockerRun(t, id, flags, "/usr/bin/sleep", "300"); code != 0 {
		t.Fatal(out)
	}
	await(t, "a healthy container", func() bool { return d.inspect(t, id, "{{.State.Health.Status}}") == "healthy" })
	noReports(t, groupOf(t, d, id))
}

// TestDockerInit: Docker's own init forks, which this version cannot monitor: it ends with words that say so.
func TestDockerInit(t *testing.T) {
	t.Parallel()
	d := docker{}
	const id = "mm-dockerinit-docker"
	code, out := dockerRun(t, id, []string{"--init"}, "/usr/bin/env")
	if code == 0 || strings.Contains(out, "COLOUR=grey") {
		t.Errorf("ended with %d: %s", code, out)
	}
	group := groupOf(t, d, id)
	await(t, "an event that names the call", func() bool {
		for _, e := range events(t, group) {
			if strings.Contains(e.Text, "clone") || strings.Contains(e.Text, "fork") {
				return true
			}
		}
		return false
	})
}

// TestDockerSeccomp: Docker's default profile does no harm, and one that denies what the monitor needs is refused by name.
func TestDockerSeccomp(t *testing.T) {
	t.Parallel()
	profile := specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"prctl"}, Action: specs.ActErrno}}}
	text, err := json.Marshal(profile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(tests.dir, "no-prctl.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out := dockerRun(t, "mm-dockerseccomp-docker", []string{"--security-opt", "seccomp=" + file}, "/usr/bin/env")
	if code != 125 && code != 126 && code != 127 || !strings.Contains(out, "seccomp profile denies the system call prctl") {
		t.Errorf("ended with %d: %s", code, out)
	}
	code, out = dockerRun(t, "mm-dockerseccomp-docker-unconfined", []string{"--security-opt", "seccomp=unconfined"}, "/usr/bin/id", "-u")
	if code != 0 || out != "0\n" {
		t.Errorf("without a profile: ended with %d: %s", code, out)
	}
}

// TestDockerExec: exec is refused where the container says so.
func TestDockerExec(t *testing.T) {
	t.Parallel()
	d := docker{}
	id := started(t, d, spec{id: "mm-dockerexec-docker", args: []string{"/usr/bin/sleep", "300"}, asks: map[string]string{"variants": "2", "exec": "deny"}})
	if r := d.exec(t, id, "/usr/bin/id"); r.Status == 0 || strings.Contains(string(r.Stdout), "uid=") || !strings.Contains(string(r.Stdout)+string(r.Stderr), "exec is refused") {
		t.Errorf("%s", r)
	}
}

// TestDockerForeground: a container with a terminal writes to it, and one without reads what its client is given.
func TestDockerForeground(t *testing.T) {
	t.Parallel()
	code, out := dockerRun(t, "mm-dockerforeground-docker", []string{"--tty"}, "/usr/bin/env")
	if code != 0 || !strings.Contains(out, "TERM=xterm\r\n") {
		t.Errorf("ended with %d: %q", code, out)
	}
	d, text := docker{}, strings.Repeat("a line of input\n", 10_000)
	const id = "mm-dockerforeground-docker-stdin"
	t.Cleanup(func() { d.remove(t, id) })
	run := d.client(append([]string{"run", "--rm", "--interactive", "--name", id}, append(d.asking(variants(2)), imageName, "/usr/bin/cat")...)...)
	r, err := proc.Run(proc.Spec{Argv: run.Args, Env: run.Environ(), Stdin: strings.NewReader(text), Deadline: commandLimit})
	if err != nil || r.Status != 0 || string(r.Stdout) != text {
		t.Errorf("%v, %d bytes of %d: status %d, %s", err, len(r.Stdout), len(text), r.Status, r.Stderr)
	}
}
