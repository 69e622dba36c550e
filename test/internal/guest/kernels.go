// Package guest boots Debian's kernels in QEMU, by software emulation, with files of the caller's choice, and runs a script
// there. What a guest has is made of Debian packages: kernels are downloaded and unpacked, or compiled, never installed,
// programs are those that this system has. Both are kept in a cache.
package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Kernel is a kernel of the distribution. Its flavour is what follows linux-image- in the name of the package that stands for
// the newest of its kind. One without a flavour is compiled from the package source.
type Kernel struct {
	Name    string
	Flavour string
	Source  string
}

// The kernels on which monmod's module is tested. The sanitized one looks for mistakes of the module's (sanitized.config). Making
// it takes half an hour of a processor's time, and it runs several times as long: tests use it where they are asked to.
var (
	Linux61   = Kernel{Name: "6.1", Flavour: "cloud-amd64"}
	Linux612  = Kernel{Name: "6.12", Flavour: "6.12-cloud-amd64"}
	Sanitized = Kernel{Name: "6.1-sanitized", Source: "linux-source-6.1"}
)

// Kernels lists those of the distribution, the oldest first.
var Kernels = []Kernel{Linux61, Linux612}

// Chosen returns the kernels that MONMOD_GUEST_KERNELS names, with commas between them. Where it is not set that is Kernels.
func Chosen() ([]Kernel, error) {
	var chosen []Kernel
	for name := range strings.SplitSeq(os.Getenv("MONMOD_GUEST_KERNELS"), ",") {
		all := append([]Kernel{Sanitized}, Kernels...)
		i := slices.IndexFunc(all, func(k Kernel) bool { return k.Name == name })
		switch {
		case i >= 0:
			chosen = append(chosen, all[i])
		case os.Getenv("MONMOD_GUEST_KERNELS") == "":
			return Kernels, nil
		default:
			return nil, fmt.Errorf("MONMOD_GUEST_KERNELS names %q: there are %v", name, all)
		}
	}
	return chosen, nil
}

// String returns the name.
func (k Kernel) String() string { return k.Name }

// Fetched is a kernel that has been unpacked: what its packages hold, and the image in a form that QEMU boots at once.
type Fetched struct {
	Kernel
	Release string // as uname -r prints it
	Dir     string // of the unpacked packages
}

// Image returns the path of what QEMU boots. It begins uncompressed kernels at an entry (PVH) which code of KASAN's is too early for.
func (f *Fetched) Image() string {
	if f.Kernel == Sanitized {
		return filepath.Join(f.Dir, "bzImage")
	}
	return filepath.Join(f.Dir, "vmlinux")
}

// Headers returns the folder against which modules are built.
func (f *Fetched) Headers() string { return filepath.Join(f.Dir, "usr/src/linux-headers-"+f.Release) }

func (f *Fetched) modules() string { return filepath.Join(f.Dir, "lib/modules", f.Release) }

var fetched = struct {
	sync.Mutex
	kernels map[Kernel]*Fetched
}{kernels: map[Kernel]*Fetched{}}

// Fetch downloads and unpacks (or compiles) the newest packages of k that apt knows, unless the cache has them.
func Fetch(k Kernel) (*Fetched, error) {
	fetched.Lock()
	defer fetched.Unlock()
	if f := fetched.kernels[k]; f != nil {
		return f, nil
	}
	get := fetch
	if k.Flavour == "" {
		get = compiled
	}
	f, err := get(k)
	if err != nil {
		return nil, fmt.Errorf("fetch kernel %s: %w", k, err)
	}
	fetched.kernels[k] = f
	return f, nil
}

func fetch(k Kernel) (*Fetched, error) {
	const prefix = "linux-image-"
	images, err := depends(prefix+k.Flavour, prefix)
	if err != nil {
		return nil, err
	}
	f := &Fetched{Kernel: k, Release: strings.TrimPrefix(images[0], prefix)}
	f.Dir = filepath.Join(cacheDir(), "kernel-"+f.Release) // Debian's makefile has absolute paths: they become these
	_, err = cached(filepath.Base(f.Dir), func(dir string) error {
		headers := "linux-headers-" + f.Release
		more, err := depends(headers, "linux-headers-", "linux-kbuild-")
		if err != nil {
			return err
		}
		if err := unpack(dir, append(more, images[0], headers)); err != nil {
			return err
		}
		return prepare(dir, f)
	})
	return f, err
}

// depends returns the packages that name depends on and whose names begin with one of the prefixes.
func depends(name string, prefixes ...string) ([]string, error) {
	out, err := command("/", nil, "apt-cache", "depends", "--important", name)
	if err != nil {
		return nil, fmt.Errorf("%w: run `apt-get update`", err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		_, dep, ok := strings.Cut(line, " Depends: ")
		dep = strings.TrimSpace(dep)
		for _, prefix := range prefixes {
			if ok && strings.HasPrefix(dep, prefix) {
				found = append(found, dep)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("apt knows nothing that %s depends on: run `apt-get update`; this wants the packages of Debian 12", name)
	}
	return found, nil
}

func unpack(dir string, packages []string) error {
	debs := dir + "-debs"
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(debs, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(debs)
	if _, err := command(debs, nil, append([]string{"apt-get", "-q", "download"}, packages...)...); err != nil {
		return fmt.Errorf("%w\nif the archive has newer versions by now, run `apt-get update`", err)
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(files) != len(packages) {
		return fmt.Errorf("download %q: got %q, %v", packages, files, err)
	}
	for _, file := range files {
		if _, err := command("/", nil, "dpkg-deb", "-x", file, dir); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes what was unpacked in dir fit for use once it lies in f.Dir.
func prepare(dir string, f *Fetched) error {
	makefile := filepath.Join(dir, "usr/src/linux-headers-"+f.Release, "Makefile")
	text, err := os.ReadFile(makefile)
	if err != nil {
		return err
	}
	text = []byte(strings.ReplaceAll(string(text), "include /usr/src/", "include "+f.Dir+"/usr/src/"))
	if err := os.WriteFile(makefile, text, 0o644); err != nil {
		return err
	}
	if _, err := command("/", nil, "/sbin/depmod", "-b", dir, f.Release); err != nil {
		return err
	}
	image, err := os.ReadFile(filepath.Join(dir, "boot/vmlinuz-"+f.Release))
	if err != nil {
		return err
	}
	kernel, err := uncompressed(image)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "vmlinux"), kernel, 0o644)
}
