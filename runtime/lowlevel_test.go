package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNeedsPrestart(t *testing.T) {
	for version, want := range map[string]bool{
		"runc version 1.1.5+ds1\ncommit: x": false,
		"runc version 1.0.0-rc10\n":         true,
		"runc version 1.0.0-rc91+dev":       false,
		"runc version 1.0.2":                false,
		"runc version 1.5.0":                false,
		"runc version 0.1.1":                true,
		"crun version 1.8.1":                false,
		"crun version 0.13":                 true,
		"crun version 0.14.1":               false,
		"youki 1.0":                         true,
		"":                                  true,
	} {
		if got := needsPrestart(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestFindLowLevel(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "monmod-runtime")
	other := filepath.Join(dir, "other")
	for _, err := range []error{
		os.WriteFile(self, nil, 0o755), os.WriteFile(other, nil, 0o755), os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644),
		os.Symlink(self, filepath.Join(dir, "runc")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	real, err := findLowLevel("runc", self)
	if err != nil || filepath.Dir(real) == dir {
		t.Errorf("runc is %q, %v", real, err)
	}
	if got, err := findLowLevel("other", self); err != nil || got != other {
		t.Errorf("other is %q, %v", got, err)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "runc"):  "is this program itself",
		filepath.Join(dir, "plain"): "is no program",
		filepath.Join(dir, "none"):  "correct --low-level",
		"plain":                     "there is no plain in PATH",
		"./other":                   "absolute path or a name",
	} {
		if _, err := findLowLevel(name, self); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

// TestFail: one entry, in the form that the engine asked for, of which nothing acts on the terminal that it ends at.
func TestFail(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, args, log string }{
		{"containerd", "--log %s --log-format json create x", dir + "/json"},
		{"crun's form", "--log=file:%s --log-format=json create x", dir + "/crun"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := Parse(strings.Fields(fmt.Sprintf(c.args, c.log)))
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			fail(inv, &stderr, errors.New("no \"x\x1b[2J\"\nhere"))
			data, err := os.ReadFile(c.log)
			if err != nil {
				t.Fatal(err)
			}
			var e map[string]string
			if err := json.Unmarshal(data, &e); err != nil || e["level"] != "error" || e["msg"] != "no \"x\\x1b[2J\"\n  here" || e["time"] == "" {
				t.Errorf("logged %q: %v", data, err)
			}
			if stderr.String() != "no \"x\\x1b[2J\"\n  here\n" {
				t.Errorf("said %q", stderr.String())
			}
		})
	}
	inv, err := Parse([]string{"--log", dir + "/text", "create"})
	if err != nil {
		t.Fatal(err)
	}
	fail(inv, &bytes.Buffer{}, errors.New("x"))
	if data, err := os.ReadFile(dir + "/text"); err != nil || !strings.Contains(string(data), `level=error msg="x"`) {
		t.Errorf("text: %q, %v", data, err)
	}
}

// TestEngineWords: engines choose exit codes by these words, so a fault of the
// host must not use them.
func TestEngineWords(t *testing.T) {
	host := fmt.Errorf("find the library: %w", &fs.PathError{Op: "open", Path: "/lib", Err: syscall.ENOENT})
	if got := engineWords(host); got != "find the library: open /lib: it does not exist" {
		t.Errorf("host: %q", got)
	}
	for _, err := range []error{os.ErrPermission, errors.New("stat x: no such file or directory"), errors.New("operation not permitted"), errors.New("not a directory")} {
		got := engineWords(err)
		for _, word := range []string{"no such file", "permission denied", "not permitted", "not a directory"} {
			if strings.Contains(got, word) {
				t.Errorf("%q keeps %q", got, word)
			}
		}
	}
	program := fmt.Errorf("x: %w", programError{errors.New("exec: permission denied")})
	if got := engineWords(program); got != "x: exec: permission denied" {
		t.Errorf("program: %q", got)
	}
}

func TestResources(t *testing.T) {
	for args, want := range map[string]string{
		"update --memory 64M --memory-swap=-1 --cpu-share 5 --cpuset-cpus 0-1 x": `{"cpu":{"cpus":"0-1","shares":5},"memory":{"limit":67108864,"swap":-1}}`,
		"update --l3-cache-schema L3:0=f --pids-limit 7 x":                       `{"pids":{"limit":7}}`,
		"update --memory lots x":                                                 "!whole number",
		"update --memory 99999999999999P x":                                      "!whole number",
		"update --resources /nonexistent x":                                      "!read the resources",
		"update --cpu-period 1.5 container1":                                     "!whole number",
	} {
		inv, err := Parse(strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readResources(inv)
		if bad, ok := strings.CutPrefix(want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s: got %v, want %q", args, err, bad)
			}
		} else if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v", args, got, err)
		}
	}
}

// TestEngineRoot: a state folder has one name whatever of it exists. Docker names one below /var/run, a link, of which two
// levels are missing after a boot.
func TestEngineRoot(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"var": "run", "absolute": filepath.Join(dir, "run"), "chain": "./var/../var", "dangling": "later", "circle": "circle"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct{ root, want string }{
		{"var", "run"}, {"var/docker", "run/docker"}, {"var/docker/runtime-runc/moby", "run/docker/runtime-runc/moby"},
		{"absolute/docker/moby", "run/docker/moby"}, {"chain/docker/moby", "run/docker/moby"}, {"dangling/docker/moby", "later/docker/moby"},
		{"none/a/b", "none/a/b"},
	} {
		for _, spelled := range []string{c.root, filepath.Join(dir, c.root), filepath.Join(dir, c.root) + "/"} {
			for _, made := range []bool{false, true} {
				if made {
					if err := os.MkdirAll(filepath.Join(dir, c.want), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				inv, err := Parse([]string{"--root", spelled, "state", "x"})
				if err != nil {
					t.Fatal(err)
				}
				if got, err := engineRoot(inv, "runc"); err != nil || got != filepath.Join(dir, c.want) {
					t.Errorf("%s (made: %v) is %q, %v", spelled, made, got, err)
				}
			}
			if err := errors.Join(os.RemoveAll(filepath.Join(dir, "run/docker")), os.RemoveAll(filepath.Join(dir, "later")), os.RemoveAll(filepath.Join(dir, "none"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	inv, err := Parse([]string{"--root", filepath.Join(dir, "circle/x"), "state", "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := engineRoot(inv, "runc"); err == nil || !strings.Contains(err.Error(), "more than ") {
		t.Errorf("a circle is %q, %v", got, err)
	}
}
