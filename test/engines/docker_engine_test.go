package engines

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
)

// docker is Debian's Docker 20.10, which has no annotations: variables ask for monitoring.
type docker struct{}

func (docker) name() string { return "docker" }

// client is a command of Docker's client.
func (docker) client(args ...string) *exec.Cmd {
	return tests.docker.Docker(context.Background(), args...)
}

// flags are the flags of docker run, or of podman run but for what asks for monitoring.
func (s spec) flags() []string {
	flags := []string{"--name", s.id, "--network", "none"}
	if s.hostNet {
		flags[3] = "host"
	}
	for _, e := range s.env {
		flags = append(flags, "--env", e)
	}
	if s.user != "" {
		flags = append(flags, "--user", s.user)
	}
	if s.readonly {
		flags = append(flags, "--read-only", "--tmpfs", "/tmp")
	}
	if s.data != "" {
		flags = append(flags, "--volume", s.bound()+":/data")
	}
	if s.init {
		flags = append(flags, "--init")
	}
	return flags
}

// asking are docker's flags for what is asked for.
func (docker) asking(asks map[string]string) []string {
	flags := []string{"--runtime", "monmod"}
	for key, value := range asks {
		flags = append(flags, "--env", "MONMOD_"+strings.ToUpper(key)+"="+value)
	}
	return flags
}

func (d docker) start(t *testing.T, s spec) proc.Result {
	words := append([]string{"run", "--detach"}, append(s.flags(), d.asking(s.asks)...)...)
	return command(t, d.client(append(append(words, imageName), s.args...)...))
}

func (d docker) exec(t *testing.T, id string, args ...string) proc.Result {
	return command(t, d.client(append([]string{"exec", id}, args...)...))
}

func (d docker) pause(t *testing.T, id string)  { must(t, d.client("pause", id)) }
func (d docker) resume(t *testing.T, id string) { must(t, d.client("unpause", id)) }
func (d docker) kill(t *testing.T, id, signal string) {
	must(t, d.client("kill", "--signal", signal, id))
}
func (d docker) wait(t *testing.T, id string) int { return number(t, must(t, d.client("wait", id))) }

func (d docker) stop(t *testing.T, id string, grace time.Duration) {
	must(t, d.client("stop", "--time", strconv.Itoa(int(grace.Seconds())), id))
}

func (d docker) output(t *testing.T, id string) string {
	r := command(t, d.client("logs", id))
	return string(r.Stdout) + string(r.Stderr)
}

func (d docker) remove(t *testing.T, id string) {
	if r := command(t, d.client("rm", "--force", id)); r.Status != 0 && !strings.Contains(string(r.Stderr), "No such container") {
		t.Errorf("%s", r)
	}
}

// inspect returns one value of what docker inspect says, by a template.
func (d docker) inspect(t *testing.T, id, template string) string {
	t.Helper()
	return strings.TrimSpace(must(t, d.client("inspect", "--format", template, id)))
}
