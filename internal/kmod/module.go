package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Name is the module's.
const Name = "monmod"

// folder is where the module shows its state: one value a file.
const folder = "/sys/kernel/monmod"

// Status is what the loaded module shows.
type Status struct {
	Version    uint64 `json:"version"`
	Active     bool   `json:"active"`
	Armed      uint64 `json:"armed"`   // threads
	Entries    uint64 `json:"entries"` // calls redirected since it was loaded
	Violations uint64 `json:"violations"`
	Limit      uint64 `json:"limit"` // of armed threads; 0: none
}

// Loaded says whether the module is in the kernel.
func Loaded() bool {
	_, err := os.Stat(folder)
	return err == nil
}

// Read gives the loaded module's state.
func Read() (Status, error) {
	if !Loaded() {
		return Status{}, errors.New("the kernel module is not loaded: `monmod kmod load`")
	}
	var s Status
	var active uint64
	for name, to := range map[string]*uint64{
		"version": &s.Version, "active": &active, "armed": &s.Armed, "entries": &s.Entries, "violations": &s.Violations, "limit": &s.Limit,
	} {
		raw, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return Status{}, fmt.Errorf("read the kernel module's state: %w", err)
		}
		if *to, err = strconv.ParseUint(string(bytes.TrimSpace(raw)), 10, 64); err != nil {
			return Status{}, fmt.Errorf("read the kernel module's state: %s: %w", name, err)
		}
	}
	s.Active = active != 0
	return s, nil
}

// Load puts the module into the kernel: from a file, or ("") the one that is installed for the running kernel.
func Load(file string) error {
	if Loaded() {
		return nil
	}
	if file == "" {
		out, err := exec.Command("modprobe", Name).CombinedOutput()
		if err != nil {
			return fmt.Errorf("load the kernel module by modprobe: %w: %s: `monmod doctor` says whether it can be loaded here", err, bytes.TrimSpace(out))
		}
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("load the kernel module: %w", err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("load the kernel module from %s: %w: %s", file, err, whyNot(err))
	}
	return nil
}

func whyNot(err error) string {
	switch {
	case errors.Is(err, unix.EPERM):
		return "root is needed, and a kernel that is not locked down"
	case errors.Is(err, unix.ENOEXEC):
		return "it was built for another kernel: build it against the headers of the running one"
	case errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.ENOKEY):
		return "this kernel takes signed modules only: packaging/dkms says how to sign it"
	case errors.Is(err, unix.ENOSYS):
		return "this kernel was built without modules"
	}
	return "`dmesg` may say more"
}

// Unload takes the module out of the kernel. One that has armed tasks or open sessions stays.
func Unload() error {
	err := unix.DeleteModule(Name, unix.O_NONBLOCK)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EBUSY):
		return errors.New("unload the kernel module: it is in use: `monmod ps` lists the groups that run, `monmod kmod reset` ends them")
	case errors.Is(err, unix.ENOENT):
		return errors.New("unload the kernel module: it is not loaded")
	case err != nil:
		return fmt.Errorf("unload the kernel module: %w", err)
	}
	return nil
}

// Reset kills every armed task of this host.
func Reset() error {
	if !Loaded() {
		return errors.New("the kernel module is not loaded")
	}
	if err := os.WriteFile(filepath.Join(folder, "reset"), []byte("1\n"), 0o200); err != nil {
		return fmt.Errorf("reset the kernel module: %w", err)
	}
	return nil
}

func runningRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// Installed says whether the module can be found for the running kernel.
func Installed() bool { return installedFor(runningRelease()) }

// Obstacle says why the module cannot be loaded here, "" where nothing is known that would prevent it.
func Obstacle() string {
	release := runningRelease()
	switch {
	case !exists("/proc/modules"):
		return "Linux " + release + " was built without modules (CONFIG_MODULES)"
	case lockedDown():
		return "Linux " + release + " is locked down and takes signed modules only (/sys/kernel/security/lockdown): sign the module, packaging/dkms says how"
	case enforced() && !installedFor(release):
		return "Linux " + release + " takes signed modules only (module.sig_enforce), and none is installed: packaging/dkms says how to sign one"
	case !installedFor(release) && !exists(filepath.Join("/lib/modules", release, "build")):
		return "no module is installed for Linux " + release + ", and its headers, with which one could be built, are missing (linux-headers-" + release + ")"
	case !installedFor(release):
		return "no module is installed for Linux " + release + ": packaging/dkms says how to build one"
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func installedFor(release string) bool {
	for _, at := range []string{"updates/dkms", "updates", "extra"} {
		for _, ending := range []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"} {
			if exists(filepath.Join("/lib/modules", release, at, Name+ending)) {
				return true
			}
		}
	}
	return false
}

func lockedDown() bool {
	raw, err := os.ReadFile("/sys/kernel/security/lockdown")
	return err == nil && !strings.Contains(string(raw), "[none]")
}

func enforced() bool {
	raw, err := os.ReadFile("/sys/module/module/parameters/sig_enforce")
	return err == nil && strings.HasPrefix(string(raw), "Y")
}
