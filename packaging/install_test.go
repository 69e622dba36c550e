// Package packaging holds what puts monmod on a machine; here is its test.
package packaging

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func install(t *testing.T, build, destdir, prefix string) (string, error) {
	t.Helper()
	out, err := exec.Command("./install", build, destdir, prefix).CombinedOutput()
	return string(out), err
}

// TestInstall installs into a folder and looks at everything that is then there.
func TestInstall(t *testing.T) {
	build, dest := t.TempDir(), t.TempDir()
	if out, err := install(t, build, dest, "/opt/m"); err == nil || !strings.Contains(out, "make build") {
		t.Errorf("without built files: %v\n%s", err, out)
	}
	for _, name := range []string{"monmod", "monmod-runtime", "libmonmod.so"} {
		if err := os.WriteFile(filepath.Join(build, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := install(t, build, dest, "opt"); err == nil || !strings.Contains(out, "absolute") {
		t.Errorf("a relative prefix: %v\n%s", err, out)
	}
	for _, relative := range []string{"rel", "./rel", "~/rel"} {
		if out, err := install(t, build, relative, "/opt/m"); err == nil || !strings.Contains(out, "DESTDIR="+relative+" is not an absolute path: write DESTDIR=/") {
			t.Errorf("a relative DESTDIR %s: %v\n%s", relative, err, out)
			if err := os.RemoveAll(relative); err != nil {
				t.Error(err)
			}
		}
	}
	out, err := install(t, build, dest, "/opt/m")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := map[string]bool{"opt/m/bin/monmod": true, "opt/m/bin/monmod-runtime": true, "opt/m/lib/monmod/libmonmod.so": true}
	err = filepath.WalkDir(dest, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dest, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if !want[name] || info.Mode().Perm() != 0o755 {
			t.Errorf("%s with mode %v was installed", name, info.Mode())
		}
		delete(want, name)
		return err
	})
	if err != nil || len(want) > 0 {
		t.Errorf("not installed: %v (%v)", want, err)
	}
	for _, path := range []string{`"path": "/opt/m/bin/monmod-runtime"`, `BinaryName = "/opt/m/bin/monmod-runtime"`, `monmod = ["/opt/m/bin/monmod-runtime"]`} {
		if !strings.Contains(out, path) {
			t.Errorf("it does not print %s:\n%s", path, out)
		}
	}
	if strings.Contains(out, dest+"/opt/m/bin/monmod-runtime\"") || strings.Contains(out, "@BINDIR@") {
		t.Errorf("a snippet names a path that will not be:\n%s", out)
	}
}

// TestPrefixIsTakenAsItIs: what a path may hold does not break what is printed, and what engines cannot take is refused first.
func TestPrefixIsTakenAsItIs(t *testing.T) {
	build := t.TempDir()
	for _, name := range []string{"monmod", "monmod-runtime", "libmonmod.so"} {
		if err := os.WriteFile(filepath.Join(build, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, clean := range map[string]string{
		"/opt/a|b": "/opt/a|b", "/opt/a&b": "/opt/a&b", "/opt/a b": "/opt/a b", "/opt/m/": "/opt/m", "/opt/m//": "/opt/m", "/": "",
	} {
		dest := t.TempDir()
		out, err := install(t, build, dest+"/", prefix)
		if err != nil || !strings.Contains(out, `"path": "`+clean+`/bin/monmod-runtime"`) || !strings.Contains(out, "Installed "+clean+"/bin/monmod, ") || strings.Contains(out, "//") {
			t.Errorf("PREFIX=%s: %v\n%s", prefix, err, out)
		}
		if _, err := os.Stat(filepath.Join(dest, clean, "bin/monmod")); err != nil {
			t.Errorf("PREFIX=%s: %v", prefix, err)
		}
	}
	for _, prefix := range []string{`/opt/"m`, `/opt/m\`, "/opt/m\n"} {
		dest := t.TempDir()
		if out, err := install(t, build, dest, prefix); err == nil || !strings.Contains(out, "choose another") {
			t.Errorf("PREFIX=%q: %v\n%s", prefix, err, out)
		}
		if left, err := os.ReadDir(dest); err != nil || len(left) > 0 {
			t.Errorf("PREFIX=%q: it left %v (%v)", prefix, left, err)
		}
	}
}

// TestDockerSnippet makes sure that what people paste is JSON.
func TestDockerSnippet(t *testing.T) {
	text, err := os.ReadFile("engines/docker")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Runtimes map[string]struct{ Path string }
	}
	if err := json.Unmarshal(regexp.MustCompile(`(?m)^#.*$`).ReplaceAll(text, nil), &config); err != nil || config.Runtimes["monmod"].Path == "" {
		t.Errorf("%v: %+v", err, config)
	}
}
