package guest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// cacheDir is where kernels and images are kept between runs. It may be removed at any time, and has to be to get rid of what was
// made of older packages.
func cacheDir() string {
	if dir, err := filepath.Abs(os.Getenv("MONMOD_GUEST_CACHE")); err == nil && os.Getenv("MONMOD_GUEST_CACHE") != "" {
		return dir
	}
	return "/var/cache/monmod/guest"
}

// cached returns the path of what is kept as name, a file or folder, and has make write it to a path nearby if it is not
// there. It appears as a whole or not at all, and whoever wants the same thing meanwhile waits for it.
func cached(name string, make func(path string) error) (string, error) {
	dir := cacheDir()
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of guests: %w: run as root, or set MONMOD_GUEST_CACHE", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return "", fmt.Errorf("lock the cache of guests: %w: run as root, or set MONMOD_GUEST_CACHE", err)
	}
	defer lock.Close()
	if err := flock(lock); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	// Whoever holds the lock makes something; what others left unfinished is nobody's.
	stale, _ := filepath.Glob(filepath.Join(dir, ".new-*"))
	for _, old := range stale {
		_ = os.RemoveAll(old)
	}
	tmp, err := os.MkdirTemp(dir, ".new-")
	if err != nil {
		return "", fmt.Errorf("make a folder in %s: %w", dir, err)
	}
	defer os.RemoveAll(tmp)
	fresh := filepath.Join(tmp, "it")
	if err := make(fresh); err != nil {
		return "", fmt.Errorf("make %s: %w", path, err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return "", fmt.Errorf("keep %s: %w", path, err)
	}
	return path, nil
}

func flock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}

// command runs a program in dir and returns its standard output; the error has what it said.
func command(dir string, stdin []byte, argv ...string) ([]byte, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(stdin)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, tail(words.String(), 40))
	}
	return out.Bytes(), nil
}

// tail returns the last lines of text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
