package guest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

// TestDKMS takes the way of docs/kernel-module.md with DKMS itself, in trees of the test's own, for a guest's kernel.
func TestDKMS(t *testing.T) {
	dkms, err := guest.Tool("dkms")
	if err != nil {
		t.Fatal(err)
	}
	k, err := guest.Fetch(guest.Kernels[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source, modules := filepath.Join(dir, "source", "monmod-1"), filepath.Join(dir, "installed", k.Release)
	conf, readErr := os.ReadFile(filepath.Join(target.Root(), "packaging/dkms/dkms.conf"))
	if err := errors.Join(readErr, os.CopyFS(source, os.DirFS(filepath.Join(target.Root(), "kmod"))),
		os.CopyFS(filepath.Join(source, "include"), os.DirFS(filepath.Join(target.Root(), "include"))),
		os.WriteFile(filepath.Join(source, "dkms.conf"), conf, 0o644),
		os.MkdirAll(modules, 0o755), os.Mkdir(filepath.Join(dir, "state"), 0o755)); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		all := append([]string{filepath.Join(dkms, "usr/sbin/dkms"), "--dkmstree", filepath.Join(dir, "state"), "--sourcetree", filepath.Dir(source),
			"--installtree", filepath.Dir(modules), "--no-depmod"}, args...)
		out, err := exec.Command("bash", all...).CombinedOutput()
		if err != nil || strings.Contains(string(out), "bad exit status") {
			t.Fatalf("dkms %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	module := filepath.Join(modules, "updates/dkms/monmod.ko")
	run("add", "monmod/1")
	run("install", "monmod/1", "-k", k.Release, "--kernelsourcedir", k.Headers())
	if _, err := os.Stat(module); err != nil {
		t.Error(err)
	}
	if said := run("status"); !strings.Contains(said, "monmod/1, "+k.Release+", x86_64: installed") {
		t.Errorf("status says %q", said)
	}
	run("remove", "monmod/1", "--all")
	if _, err := os.Stat(module); err == nil {
		t.Errorf("%s is left", module)
	}
}
