package guest

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tools are what a module's build runs, beside the compiler, which the headers depend on. A suite's build tools need its own C library:
// its kernels are unpacked with these, as a system on its own, in which modules are built. Nothing of it is configured or started.
var tools = []string{"base-files", "binutils", "coreutils", "dash", "findutils", "grep", "make", "mawk", "sed"}

// fetchWithTools unpacks a kernel of a suite in dir, with all that building modules for it needs.
func fetchWithTools(a apt, dir string, f *Fetched, image, headers string) error {
	packages, err := a.closure(append([]string{headers}, tools...))
	if err != nil {
		return err
	}
	// Newer images are two packages, and one that depends on them and on what makes an initramfs.
	parts, err := a.depends(image, "linux-binary-", "linux-modules-")
	if err != nil {
		parts = []string{image}
	}
	if err := a.unpack(dir, append(packages, parts...)); err != nil {
		return err
	}
	if err := os.Symlink("mawk", filepath.Join(dir, "usr/bin/awk")); err != nil { // an alternative, made by configuring
		return err
	}
	if err := unix.Mknod(filepath.Join(dir, "dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		return fmt.Errorf("make dev/null for building modules: %w: run as root", err)
	}
	if err := os.Chmod(filepath.Join(dir, "dev/null"), 0o666); err != nil {
		return err
	}
	return prepare(dir, f)
}

// inside returns a command that runs argv where modules are built: in a kernel's own system, if it has one, with a /proc and processes
// of its own, which end with it.
func (f *Fetched) inside(argv ...string) []string {
	if f.Suite == "" {
		return argv
	}
	return append([]string{
		"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--root=" + f.Dir, "env", "-i",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/",
	}, argv...)
}
