package guest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packages are what guests have, with all that these depend on. They must be installed here: scripts/deps installs them.
var packages = []string{
	"base-files", "base-passwd", "bash", "bc", "busybox-static", "musl", "coreutils", "curl", "dash", "diffutils", "findutils", "gawk", "grep", "gzip",
	"hostname", "iproute2", "kmod", "libc-bin", "lighttpd", "mount", "nginx-light", "perl-base", "procps", "python3", "redis-server",
	"runc", "sed", "sqlite3", "strace", "tar", "util-linux", "wrk",
}

// unwanted are folders that no test needs.
var unwanted = []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/", "/usr/share/lintian/"}

const imageRecipe = "1" // to be counted up with every change of how an image is made

// image returns the path of the root file system of guests, an ext4 image for reading. Another version of any package makes
// another image.
func image() (string, error) {
	db, err := readInstalled()
	if err != nil {
		return "", err
	}
	all, err := db.closure(packages)
	if err != nil {
		return "", fmt.Errorf("make an image for guests: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, imageRecipe)
	for _, name := range all {
		fmt.Fprintln(sum, name, db.version[name])
	}
	return cached(fmt.Sprintf("root-%x.ext4", sum.Sum(nil)[:6]), func(path string) error {
		tree := path + "-tree"
		if err := fill(tree, all); err != nil {
			return err
		}
		return makeExt4(path, tree)
	})
}

// fill copies the files of packages to tree, and makes those that packages only make when they are installed.
func fill(tree string, packages []string) error {
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	paths, err := files(packages)
	if err != nil {
		return err
	}
	list := filepath.Join(filepath.Dir(tree), "list")
	if err := os.WriteFile(list, []byte(strings.Join(paths, "\x00")), 0o644); err != nil {
		return err
	}
	archive := list + ".tar"
	if _, err := command("/", nil, "tar", "-C", "/", "--null", "--no-recursion", "-cf", archive, "-T", list); err != nil {
		return err
	}
	if _, err := command("/", nil, "tar", "-C", tree, "-xf", archive); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"etc/hosts": "127.0.0.1 localhost guest\n", "etc/hostname": "guest\n", "etc/resolv.conf": "",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
	} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"passwd", "group"} {
		text, err := os.ReadFile(filepath.Join("/usr/share/base-passwd", name+".master"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tree, "etc", name), text, 0o644); err != nil {
			return err
		}
	}
	_, err = command("/", nil, "/sbin/ldconfig", "-r", tree)
	return err
}

// files lists what packages hold, relative to /, with the links that update-alternatives made.
func files(packages []string) ([]string, error) {
	out, err := command("/", nil, append([]string{"dpkg-query", "-L"}, packages...)...)
	if err != nil {
		return nil, err
	}
	links, err := filepath.Glob("/etc/alternatives/*")
	if err != nil {
		return nil, err
	}
	commands, err := filepath.Glob("/usr/bin/*")
	if err != nil {
		return nil, err
	}
	paths := append(strings.Split(string(out), "\n"), links...)
	for _, path := range commands {
		if to, err := os.Readlink(path); err == nil && strings.HasPrefix(to, "/etc/alternatives/") {
			paths = append(paths, path)
		}
	}
	var all []string
	for _, path := range paths {
		// dpkg still calls files by the names that they had before /bin became a link
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		path = filepath.Join(dir, filepath.Base(path))
		if err != nil || path == "/" || slices.ContainsFunc(unwanted, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			continue
		}
		if _, err := os.Lstat(path); err == nil { // documentation may have been left out when packages were installed
			all = append(all, path[1:])
		}
	}
	slices.Sort(all) // folders before what is in them
	return slices.Compact(all), nil
}

func makeExt4(path, tree string) error {
	out, err := command("/", nil, "du", "-sm", "--apparent-size", tree)
	if err != nil {
		return err
	}
	var megabytes int
	if _, err := fmt.Sscan(string(out), &megabytes); err != nil {
		return fmt.Errorf("read the size of %s from %q: %w", tree, out, err)
	}
	size := fmt.Sprintf("%dM", megabytes*5/4+64) // files take whole blocks; what is left over takes no space on the disk
	_, err = command("/", nil, "/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=0", "-m", "0",
		"-d", tree, path, size)
	return err
}
