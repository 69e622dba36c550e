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

// podman is Debian's podman 4.3 with storage of the tests' own. Its annotations ask for monitoring.
type podman struct {
	dir string
}

func newPodman() (podman, error) {
	p := podman{dir: filepath.Join(tests.dir, "podman")}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return p, err
	}
	if out, err := p.client("load", "--quiet", "--input", tests.archive).CombinedOutput(); err != nil {
		return p, fmt.Errorf("load the image into podman (Debian's package podman): %w\n%s", err, out)
	}
	return p, nil
}

func (podman) name() string { return "podman" }

// client is a podman command that touches nobody else's storage and needs neither systemd nor journald.
func (p podman) client(args ...string) *exec.Cmd {
	global := []string{
		"--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"), "--tmpdir", filepath.Join(p.dir, "tmp"),
		"--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", tests.runtime,
	}
	cmd := exec.Command("/usr/bin/podman", append(global, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+os.DevNull)
	return cmd
}

// cgroup is the parent of the containers' cgroups. podman makes it and leaves it.
func (podman) cgroup() string { return "/" + filepath.Base(tests.dir) + "-podman" }

// close removes the cgroups, those of conmon too, when their last processes have gone.
func (p podman) close() error {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var failures []error
		for _, top := range found("/sys/fs/cgroup/*"+p.cgroup(), "/sys/fs/cgroup"+p.cgroup()) {
			for _, inner := range found(top+"/*/*", top+"/*") {
				if info, err := os.Stat(inner); err == nil && info.IsDir() {
					_ = os.Remove(inner) // what stays keeps its parent, which is reported
				}
			}
			failures = append(failures, os.Remove(top))
		}
		if err := errors.Join(failures...); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// words are those of podman run up to the image's name.
func (p podman) words(s spec) []string {
	words := append([]string{"run", "--detach", "--log-driver", "k8s-file"}, s.flags()...)
	// podman asks for more than a host may allow its root.
	words = append(words, "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096", "--cgroup-parent", p.cgroup())
	for key, value := range s.asks {
		words = append(words, "--annotation", "io.monmod."+key+"="+value)
	}
	return words
}

func (p podman) start(t *testing.T, s spec) proc.Result {
	return command(t, p.client(append(append(p.words(s), imageName), s.args...)...))
}

func (p podman) exec(t *testing.T, id string, args ...string) proc.Result {
	return command(t, p.client(append([]string{"exec", id}, args...)...))
}

func (p podman) pause(t *testing.T, id string)  { must(t, p.client("pause", id)) }
func (p podman) resume(t *testing.T, id string) { must(t, p.client("unpause", id)) }
func (p podman) kill(t *testing.T, id, signal string) {
	must(t, p.client("kill", "--signal", signal, id))
}
func (p podman) wait(t *testing.T, id string) int { return number(t, must(t, p.client("wait", id))) }

func (p podman) stop(t *testing.T, id string, grace time.Duration) {
	must(t, p.client("stop", "--time", strconv.Itoa(int(grace.Seconds())), id))
}

func (p podman) output(t *testing.T, id string) string {
	r := command(t, p.client("logs", id))
	return string(r.Stdout) + string(r.Stderr)
}

func (p podman) remove(t *testing.T, id string) {
	if r := command(t, p.client("rm", "--force", "--ignore", "--time", "0", id)); r.Status != 0 && !strings.Contains(string(r.Stderr), "no such container") {
		t.Errorf("%s", r)
	}
}
