package conformance

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A toolchain makes one of the builds that a variant may be.
type toolchain struct {
	name    string
	command []string
}

var toolchains = []toolchain{
	{"glibc", []string{"gcc"}},
	{"glibc-static", []string{"gcc", "-static"}},
	{"musl", []string{"musl-gcc"}},
	{"musl-static", []string{"musl-gcc", "-static"}},
}

// cflags keep the cases in the order of the source, and the code close to what the source says.
var cflags = []string{"-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fno-toplevel-reorder"}

// A program is one source file of c/ and the cases that it lists.
type program struct {
	name  string
	cases []testCase
}

type testCase struct {
	name, kind string
	calls      []string
}

// root is the folder that holds go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// building has a lock for each path, so that parallel tests do not build the same program at once.
var building sync.Map

// compiled returns the path of a program built by a toolchain, from build/conformance where its sources have not
// changed since.
func compiled(t testing.TB, tc toolchain, name string) string {
	t.Helper()
	sum := sha256.New()
	fmt.Fprintln(sum, tc.command, cflags)
	for _, file := range []string{name + ".c", "check.c", "check.h"} {
		text, err := os.ReadFile(filepath.Join("c", file))
		if err != nil {
			t.Fatalf("reading a conformance program: %v", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", file, len(text), text)
	}
	path := filepath.Join(root(t), "build", "conformance", tc.name, fmt.Sprintf("%x", sum.Sum(nil)[:8]), name)
	lock, _ := building.LoadOrStore(path, new(sync.Mutex))
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatalf("making a place for compiled programs: %v", err)
	}
	// Built under another name first: tests of other packages may build the same program now.
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	args := append(append([]string{}, tc.command[1:]...), cflags...)
	args = append(args, "-o", temporary, filepath.Join("c", name+".c"), filepath.Join("c", "check.c"))
	if out, err := exec.Command(tc.command[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("building %s with %s: %v\n%s", name, strings.Join(tc.command, " "), err, out)
	}
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// programs lists every program of c/ with its cases, as the program itself names them.
func programs(t testing.TB) []program {
	t.Helper()
	sources, err := filepath.Glob("c/*.c")
	if err != nil || len(sources) < 2 {
		t.Fatalf("no programs in c/: %v", err)
	}
	var list []program
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		if name == "check" {
			continue
		}
		out, err := exec.Command(compiled(t, toolchains[0], name), "-l").Output()
		if err != nil {
			t.Fatalf("listing the cases of %s: %v", name, err)
		}
		p := program{name: name}
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			words := strings.Fields(line)
			if len(words) < 3 {
				t.Fatalf("%s -l printed %q, want: name kind calls", name, line)
			}
			p.cases = append(p.cases, testCase{words[0], words[1], words[2:]})
		}
		list = append(list, p)
	}
	return list
}

var buildOnce = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("make", "-s", "build")
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	return string(out), err
})

// monmod builds the monitor and returns the path of its command. Where MONMOD_BUILD names a folder, it was built elsewhere.
func monmod(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("MONMOD_BUILD"); dir != "" {
		return filepath.Join(dir, "monmod")
	}
	if out, err := buildOnce(); err != nil {
		t.Fatalf("make build: %v\n%s\nWithout a monitor only the native half can run: go test -args -native", err, out)
	}
	return filepath.Join(root(t), "build", "monmod")
}

// TestPrograms builds every program in every way, for this system and for those that have no compiler (test/guest).
func TestPrograms(t *testing.T) {
	for _, tc := range toolchains {
		for _, p := range programs(t) {
			compiled(t, tc, p.name)
		}
	}
}
