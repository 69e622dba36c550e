package guest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/monmod/monmod/test/internal/target"
)

// BuildModule builds the modules of the folder source, which has a Kbuild file, for kernel k, and puts them into the folder out.
// The build sees the headers of include/ as $(src)/include. A warning is an error, also of those that W=1 adds.
func BuildModule(k Kernel, source, out string) error {
	return build(k, source, func(dir string) error {
		modules, err := filepath.Glob(filepath.Join(dir, "*.ko"))
		if err != nil || len(modules) == 0 {
			return errors.Join(err, errors.New("the build made no module: has the Kbuild file an obj-m?"))
		}
		for _, module := range modules {
			data, err := os.ReadFile(module)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(out, filepath.Base(module)), data, 0o644); err != nil {
				return err
			}
		}
		return nil
	}, "W=1")
}

// Checkable says whether CheckModule can be had for k: the headers of newer kernels are beyond the sparse of this distribution.
func (k Kernel) Checkable() bool { return k.Suite == "" }

// CheckModule has sparse look at the modules of the folder source. Only complaints of files of that folder and of include/ count:
// the kernel's own headers are not for us to mend.
func CheckModule(k Kernel, source string) error {
	return build(k, source, func(string) error { return nil }, "C=2", "CHECK=sparse")
}

// build runs the kernel's build on a copy of source, which two kernels could not share, and then has use take what it wants.
func build(k Kernel, source string, use func(dir string) error, more ...string) error {
	f, err := Fetch(k)
	if err != nil {
		return err
	}
	root, tmp := "", os.TempDir()
	if f.Suite != "" {
		root, tmp = f.Dir, filepath.Join(f.Dir, "tmp")
	}
	dir, err := os.MkdirTemp(tmp, "mm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		return fmt.Errorf("copy a module's source: %w", err)
	}
	if err := os.CopyFS(filepath.Join(dir, "include"), os.DirFS(filepath.Join(target.Root(), "include"))); err != nil {
		return fmt.Errorf("copy the headers: %w", err)
	}
	seen := strings.TrimPrefix(dir, root) // by the build
	// Without BTF of its own a module needs no pahole.
	if k == Sanitized {
		more = append(more, "UBSAN_SANITIZE=y") // no part of the kernel itself has it
	}
	argv := f.inside(append([]string{
		"make", "-C", strings.TrimPrefix(f.Headers(), root), "M=" + seen, fmt.Sprintf("-j%d", runtime.NumCPU()), "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules",
	}, more...)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environment()
	var words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s for kernel %s: %w\n%s", source, k, err, words.Bytes())
	}
	if said := complaints(words.String(), seen); len(said) > 0 {
		return fmt.Errorf("build %s for kernel %s: warnings count as errors:\n%s", source, k, strings.Join(said, "\n"))
	}
	return use(dir)
}

// environment is this process's without what a make above it says to its own children.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != "MAKEFLAGS" && name != "MAKELEVEL" && name != "MFLAGS" && name != "LC_ALL" {
			env = append(env, v)
		}
	}
	return env
}

// complaints returns the warnings and errors that are about files in dir, or about no file.
func complaints(text, dir string) []string {
	var found []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		place, _, _ := strings.Cut(line, ":")
		foreign := filepath.IsAbs(place) && !strings.HasPrefix(place, dir)
		if (strings.Contains(line, "warning: ") || strings.Contains(line, "WARNING: ") || strings.Contains(line, "error: ")) && !foreign {
			found = append(found, line)
		}
	}
	return found
}
