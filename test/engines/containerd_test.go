package engines

import (
	"context"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/proc"
)

// TestContainerd: containerd without Docker, by its runc shim with monmod-runtime as the binary.
func TestContainerd(t *testing.T) {
	t.Parallel()
	ctr := func(args ...string) proc.Result {
		return command(t, tests.docker.Containerd(context.Background(), args...))
	}
	image := "docker.io/library/" + imageName
	if r := ctr("images", "import", tests.archive); r.Status != 0 {
		t.Fatalf("%s", r)
	}
	t.Cleanup(func() { ctr("images", "rm", "--sync", image) })
	run := func(id string, args ...string) proc.Result {
		t.Cleanup(func() {
			ctr("tasks", "kill", "--signal", "SIGKILL", id)
			ctr("tasks", "rm", "--force", id)
			ctr("containers", "rm", id)
		})
		words := []string{"run", "--rm", "--runc-binary", tests.runtime, "--annotation", "io.monmod.variants=2", "--annotation", "io.monmod.group=" + id, image, id}
		return ctr(append(words, args...)...)
	}
	if r := run("mm-containerd-env", "/usr/bin/env"); r.Status != 0 || !strings.Contains(string(r.Stdout), "COLOUR=grey\n") || strings.Contains(string(r.Stdout), "MONMOD") {
		t.Errorf("%s\n%s", r, logs(t))
	}
	if r := run("mm-containerd-false", "/usr/bin/false"); r.Status != 1 {
		t.Errorf("%s\n%s", r, logs(t))
	}
	if r := run("mm-containerd-missing", "/no/such"); r.Status == 0 || !strings.Contains(string(r.Stderr), "no such file or directory") {
		t.Errorf("%s", r)
	}
	for _, id := range []string{"mm-containerd-env", "mm-containerd-false"} {
		eventually(t, id, "started", "runs as 2 variants")
		noReports(t, id)
	}
}
