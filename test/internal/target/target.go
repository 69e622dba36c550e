// Package target says how a program of the tests is started: natively, or as the variants of `monmod run`. It finds the
// built files and composes command lines; starting them is package proc's job.
package target

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Path is the search path of every program under test, the same natively and monitored. It is the system's own: a wrapper
// script that a developer's PATH finds first would fork.
const Path = "/usr/sbin:/usr/bin:/sbin:/bin"

// How says how a program runs. Variants 0 is natively.
type How struct {
	Variants int
	Policy   string
}

// Native runs a program as it is.
var Native = How{}

// String names the way in test names and tables.
func (h How) String() string {
	if h.Variants == 0 {
		return "native"
	}
	return fmt.Sprintf("%dx-%s", h.Variants, h.Policy)
}

// Argv returns the command line that runs program in this way. Reports go to the folder that Logs names.
func (h How) Argv(base string, program ...string) []string {
	if h.Variants == 0 {
		return program
	}
	argv := []string{
		Built("monmod"), "run", "--variants", strconv.Itoa(h.Variants), "--policy", h.Policy, "--logs", Logs(base), "--",
	}
	return append(argv, program...)
}

// Logs returns the folder of reports and events below base, a folder made by package scratch.
func Logs(base string) string { return filepath.Join(base, "state") }

// Env returns the environment of programs under test, with the state of monmod below dir, which must be short enough to hold
// a unix socket.
func Env(dir string) []string {
	return []string{
		"PATH=" + Path, "LC_ALL=C", "TZ=UTC", "HOME=" + dir,
		"XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "XDG_STATE_HOME=" + Logs(dir),
	}
}

// Lookup finds a program on Path.
func Lookup(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range filepath.SplitList(Path) {
		path := filepath.Join(dir, name)
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("find program %q on %s: install the package that holds it", name, Path)
}

// Root returns the top folder of the source tree, found from the working directory.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(fmt.Sprintf("find the source tree: %v", err))
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("find the source tree: no go.mod above the working directory; run from inside the tree")
		}
	}
}

// Built returns the path of a built file, in MONMOD_BUILD or the tree's build folder.
func Built(name string) string {
	if dir := os.Getenv("MONMOD_BUILD"); dir != "" {
		return filepath.Join(dir, name)
	}
	return filepath.Join(Root(), "build", name)
}

// CheckBuilt returns an error that says what to do when one of the files is not built.
func CheckBuilt(names ...string) error {
	for _, name := range names {
		if _, err := os.Stat(Built(name)); err != nil {
			return fmt.Errorf("find the built %s: %w; run `make build` first or set MONMOD_BUILD", name, err)
		}
	}
	return nil
}
