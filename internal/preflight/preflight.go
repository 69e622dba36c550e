// Package preflight looks at a bundle or an image before anything is started, and says what of it certainly, probably or
// perhaps will not run as variants in this version, and what to do about it.
//
// It reads files and starts nothing. Whether a container's specification can be monitored at all is package runtime's to say;
// what a program does once it runs is found by running it.
package preflight

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Severity says how sure a finding is.
type Severity int

// From the surest.
const (
	Certain  Severity = iota // it will not run
	Probable                 // it will not run as it usually does
	Possible                 // it has what would end it, and may never use it
	Note                     // it runs, and this is worth knowing
)

var severities = []string{"certainly not", "probably not", "perhaps not", "note"}

func (s Severity) String() string { return severities[s] }

// Finding is one thing that was seen.
type Finding struct {
	Severity Severity
	Path     string // in the container
	Words    string // what it is, and what to do
}

// Report is everything that was seen of one bundle or image, the surest first.
type Report struct {
	Command  []string
	Findings []Finding
}

// Runs says whether nothing was found that certainly will not run.
func (r *Report) Runs() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Certain })
}

func (r *Report) add(s Severity, path, format string, args ...any) {
	f := Finding{s, path, fmt.Sprintf(format, args...)}
	if !slices.Contains(r.Findings, f) {
		r.Findings = append(r.Findings, f)
	}
}

// command is what a container starts.
type command struct {
	args, env []string
	cwd       string
}

// maxSpec bounds a config.json, in bytes.
const maxSpec = 16 << 20

// Bundle looks at an OCI bundle: a folder with config.json and the root file system that it names.
func Bundle(dir string) (*Report, error) {
	file := filepath.Join(dir, "config.json")
	data, err := readFile(file, maxSpec)
	if err != nil {
		return nil, fmt.Errorf("look at the bundle %s: %w", dir, err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("look at the bundle %s: read %s: %w", dir, file, err)
	}
	if spec.Process == nil || len(spec.Process.Args) == 0 {
		return nil, fmt.Errorf("look at the bundle %s: %s names no program in process.args", dir, file)
	}
	root := filepath.Join(dir, "rootfs")
	if spec.Root != nil && spec.Root.Path != "" {
		if root = spec.Root.Path; !filepath.IsAbs(root) {
			root = filepath.Join(dir, root)
		}
	}
	c := command{spec.Process.Args, spec.Process.Env, spec.Process.Cwd}
	r, err := look(root, c, nil)
	if err != nil {
		return nil, fmt.Errorf("look at the bundle %s: %w", dir, err)
	}
	return r, nil
}

// look judges a command by the root file system below dir. setuid are the files that would have the bit, for a root that was
// unpacked without it.
func look(dir string, c command, setuid map[string]bool) (*Report, error) {
	// OpenRoot would wait for a pipe's other end.
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder: root.path has to name the container's root file system", dir)
	}
	top, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	l := &looker{root: root{top}, command: c, setuid: setuid, report: &Report{Command: c.args}, seen: map[string]bool{}}
	l.program()
	slices.SortStableFunc(l.report.Findings, func(a, b Finding) int { return int(a.Severity) - int(b.Severity) })
	return l.report, nil
}

func readFile(path string, most int64) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f, path, most)
}
