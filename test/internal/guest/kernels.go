// Package guest boots Debian's kernels in QEMU, by software emulation, with files of the caller's choice, and runs a script
// there. What a guest has is made of Debian packages: kernels are downloaded and unpacked, or compiled, never installed,
// programs are those that this system has. Both are kept in a cache.
package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Kernel is a kernel of the distribution. Its flavour is what follows linux-image- in the name of the package that stands for
// the newest of its kind, its suite where that is looked for: "" is what this system's apt knows. One with a source is compiled from
// that package.
type Kernel struct {
	Name    string
	Flavour string
	Suite   string
	Source  string
}

// The kernels on which monmod's module is tested. The newest moves with its suite, which may not be served (ErrNotServed). The
// sanitized one looks for mistakes of the module's (sanitized.config). Making it takes half an hour of a processor's time, and it
// runs several times as long: tests use it where they are asked to.
var (
	Linux61   = Kernel{Name: "6.1", Flavour: "cloud-amd64"}
	Linux612  = Kernel{Name: "6.12", Flavour: "6.12-cloud-amd64"}
	Newest    = Kernel{Name: "newest", Flavour: "cloud-amd64", Suite: "trixie-backports"}
	Sanitized = Kernel{Name: "6.1-sanitized", Source: "linux-source-6.1"}
)

// Kernels lists those of the distribution, the oldest first.
var Kernels = []Kernel{Linux61, Linux612, Newest}

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
	kernels map[Kernel]func() (*Fetched, error)
}{kernels: map[Kernel]func() (*Fetched, error){}}

// Fetch downloads and unpacks (or compiles) the newest packages of k that apt knows, unless the cache has them.
func Fetch(k Kernel) (*Fetched, error) {
	fetched.Lock()
	once := fetched.kernels[k]
	if once == nil {
		get := fetch
		if k.Source != "" {
			get = compiled
		}
		once = sync.OnceValues(func() (*Fetched, error) { return get(k) })
		fetched.kernels[k] = once
	}
	fetched.Unlock()
	f, err := once()
	if err != nil {
		return nil, fmt.Errorf("fetch kernel %s: %w", k, err)
	}
	return f, nil
}

func fetch(k Kernel) (*Fetched, error) {
	a, err := aptOf(k.Suite)
	if err != nil {
		return nil, err
	}
	f, err := fetchBy(a, k)
	if err != nil && k.Suite != "" { // its lists may be older than what the archive has by now
		if err := a.update(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrNotServed, k.Suite, err)
		}
		f, err = fetchBy(a, k)
	}
	return f, err
}

func fetchBy(a apt, k Kernel) (*Fetched, error) {
	const prefix = "linux-image-"
	images, err := a.depends(prefix+k.Flavour, prefix)
	if err != nil && k.Suite != "" {
		return nil, fmt.Errorf("%w: %s has no %s: %w", ErrNotServed, k.Suite, prefix+k.Flavour, err)
	}
	if err != nil {
		return nil, err
	}
	f := &Fetched{Kernel: k, Release: strings.TrimPrefix(images[0], prefix)}
	f.Dir = filepath.Join(cacheDir(), "kernel-"+f.Release) // Debian's makefile has absolute paths: they become these
	_, err = cached(filepath.Base(f.Dir), func(dir string) error {
		headers := "linux-headers-" + f.Release
		if k.Suite != "" {
			return fetchWithTools(a, dir, f, images[0], headers)
		}
		more, err := a.depends(headers, "linux-headers-", "linux-kbuild-")
		if err != nil {
			return err
		}
		if err := a.unpack(dir, append(more, images[0], headers)); err != nil {
			return err
		}
		if err := mendMakefile(dir, f); err != nil {
			return err
		}
		return prepare(dir, f)
	})
	return f, err
}

// mendMakefile makes the headers that were unpacked in dir fit for use once they lie in f.Dir.
func mendMakefile(dir string, f *Fetched) error {
	makefile := filepath.Join(dir, "usr/src/linux-headers-"+f.Release, "Makefile")
	text, err := os.ReadFile(makefile)
	if err != nil {
		return err
	}
	text = []byte(strings.ReplaceAll(string(text), "include /usr/src/", "include "+f.Dir+"/usr/src/"))
	return os.WriteFile(makefile, text, 0o644)
}

// prepare makes what was unpacked in dir fit for booting.
func prepare(dir string, f *Fetched) error {
	if _, err := command("/", nil, "/sbin/depmod", "-b", dir, f.Release); err != nil {
		return err
	}
	image, err := os.ReadFile(filepath.Join(dir, "boot/vmlinuz-"+f.Release))
	if errors.Is(err, fs.ErrNotExist) {
		image, err = os.ReadFile(filepath.Join(dir, "lib/modules", f.Release, "vmlinuz")) // where newer packages have it
	}
	if err != nil {
		return err
	}
	kernel, err := uncompressed(image)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "vmlinux"), kernel, 0o644)
}
