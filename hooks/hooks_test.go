package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/runtime"
)

// How hooks start and end a supervisor is tested with containers, in
// cmd/monmod-runtime; here is what must not happen.

func TestMainRefuses(t *testing.T) {
	for _, c := range []struct{ name, args, stdin, want string }{
		{"no stage", "", "{}", "this is called by an OCI runtime"},
		{"unknown stage", "start --container x", "{}", "this is called by an OCI runtime"},
		{"no state", "create-runtime --container x", "", "read the container's state"},
		{"long state", "create-runtime --container x", strings.Repeat(" ", maxState+1), "more than"},
		{"another's state", "create-runtime --container x", `{"id":"y"}`, "config.json was used for two containers"},
		{"no plan", "create-runtime --container mm-no-such", `{"id":"mm-no-such","pid":1}`, "create the container by monmod-runtime"},
		{"bad name", "poststop --container ../x", `{"id":"../x"}`, "use 1 to 200 letters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := Main(strings.Fields(c.args), strings.NewReader(c.stdin), &stderr); code != 1 || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("%d: %q, want %q", code, stderr.String(), c.want)
			}
		})
	}
	var stderr bytes.Buffer
	Main([]string{"poststop", "--container", "x\x1b[2J"}, strings.NewReader(`{"id":"x\u001b[2J"}`), &stderr)
	if strings.Contains(stderr.String(), "\x1b") || !strings.HasPrefix(stderr.String(), "monmod-runtime hook: ") {
		t.Errorf("a name that clears the screen: %q", stderr.String())
	}
	if code := Main(strings.Fields("poststop --container mm-no-such"), strings.NewReader(`{"id":"mm-no-such"}`), os.Stderr); code != 0 {
		t.Errorf("poststop of what is gone: %d", code)
	}
}

// TestAnothersPlan: hooks of a container that is gone do nothing to one that has taken its ID.
func TestAnothersPlan(t *testing.T) {
	id := fmt.Sprintf("mm-plan-%d", os.Getpid())
	p := &control.Plan{Version: control.PlanVersion, Container: id, Root: "/", Bundle: "/", Runtime: control.LowLevel{Path: "/"}, Library: "/", Dev: "/",
		Mode: control.ModeOne, Inject: control.InjectLaunch, Exec: control.ExecAllow, Process: control.Process{Args: []string{"x"}}, Token: strings.Repeat("1", 64)}
	if err := os.MkdirAll(p.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(p.Dir())
	if err := p.Write(); err != nil {
		t.Fatal(err)
	}
	older := *p
	older.Token = strings.Repeat("2", 64)
	t.Setenv(runtime.PlanVariable, older.Name())
	state := fmt.Sprintf(`{"id":%q,"pid":1}`, id)
	var stderr bytes.Buffer
	if code := Main([]string{"create-runtime", "--container", id}, strings.NewReader(state), &stderr); code != 1 || !strings.Contains(stderr.String(), "another container has taken the ID") {
		t.Errorf("create-runtime: %d: %s", code, stderr.String())
	}
	if code := Main([]string{"poststop", "--container", id}, strings.NewReader(state), os.Stderr); code != 0 {
		t.Errorf("poststop: %d", code)
	}
	if err := runtime.Discard(&older); err != nil {
		t.Error(err)
	}
	if _, err := control.LoadPlan(id); err != nil {
		t.Errorf("the newer plan: %v", err)
	}
	t.Setenv(runtime.PlanVariable, p.Name())
	if code := Main([]string{"poststop", "--container", id}, strings.NewReader(state), os.Stderr); code != 0 {
		t.Errorf("its own poststop: %d", code)
	}
	if _, err := os.Stat(p.Dir()); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

// TestKillSupervisor: a process that got the supervisor's number later lives.
func TestKillSupervisor(t *testing.T) {
	p := &control.Plan{Container: fmt.Sprintf("mm-hook-%d", os.Getpid())}
	if err := os.MkdirAll(p.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(p.Dir())
	if err := killSupervisor(p); err != nil {
		t.Errorf("without one: %v", err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	if err := remember(p, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	noted, err := os.ReadFile(supervisorFile(p))
	if err != nil {
		t.Fatal(err)
	}
	var other control.ProcessID
	if err := json.Unmarshal(noted, &other); err != nil {
		t.Fatal(err)
	}
	other.Start--
	data, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file []byte
		ends bool
	}{{data, false}, {noted, true}} {
		if err := os.WriteFile(supervisorFile(p), c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := killSupervisor(p); err != nil {
			t.Fatal(err)
		}
		if !c.ends {
			if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
				t.Fatalf("another process was ended: %v", err)
			}
			continue
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the supervisor ended with %v", err)
		}
	}
	if err := killSupervisor(p); err != nil {
		t.Errorf("after its end: %v", err)
	}
	if err := os.WriteFile(supervisorFile(p), []byte(`{"pid":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := killSupervisor(p); err == nil || !strings.Contains(err.Error(), "pid 1") {
		t.Errorf("pid 1: %v", err)
	}
}
