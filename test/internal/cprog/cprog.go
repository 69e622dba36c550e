// Package cprog builds the C programs of the tests against each of the C libraries.
package cprog

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build is one way of building a C program.
type Build struct {
	Name  string
	cc    string
	flags []string
}

// The builds that differ in how a program starts and makes its calls.
var (
	Glibc       = Build{"glibc", "gcc", []string{"-fPIE", "-pie"}}
	GlibcStatic = Build{"glibc-static", "gcc", []string{"-static"}}
	Musl        = Build{"musl", "musl-gcc", []string{"-fPIE", "-pie"}}
	MuslStatic  = Build{"musl-static", "musl-gcc", []string{"-static"}}
)

// Sanitized has an allocator and a shadow at addresses of its own choice.
var Sanitized = Build{"sanitized", "gcc", []string{"-fPIE", "-pie", "-fsanitize=address"}}

// All lists every build.
var All = []Build{Glibc, GlibcStatic, Musl, MuslStatic}

// Compile builds source into dir and returns the program's path.
func (b Build) Compile(source, dir string) (string, error) {
	base := filepath.Base(source)
	out := filepath.Join(dir, base[:len(base)-len(filepath.Ext(base))]+"-"+b.Name)
	args := append([]string{"-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-o", out, source}, b.flags...)
	if msg, err := exec.Command(b.cc, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s with %s: %w\n%s", source, b.cc, err, msg)
	}
	return out, nil
}
