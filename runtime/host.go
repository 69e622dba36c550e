package runtime

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/library"
)

// Self is the path of the running program with links resolved; hooks call it
// back by this name.
func Self() (string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fmt.Errorf("find this program's own path: %w", err)
	}
	return self, nil
}

// FindSupervisor returns the path of monmod, which lies beside monmod-runtime.
func FindSupervisor(self string) (string, error) {
	path := filepath.Join(filepath.Dir(self), "monmod")
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("find the supervisor: there is no program %s: install monmod beside monmod-runtime (make install)", path)
	}
	return path, nil
}

// libraryVariable names another library, for tests. It is in the engine's
// environment and not in the container's.
const libraryVariable = "MONMOD_LIBRARY"

// FindLibrary returns the path of libmonmod.so: ../lib/monmod/ or the folder of
// monmod-runtime itself. It is mapped into programs, so it must be what it
// looks like.
func FindLibrary(self string) (string, error) {
	if path := os.Getenv(libraryVariable); path != "" {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("find the library: %s=%s is not an absolute path", libraryVariable, path)
		}
		if err := config.Trusted(path); err != nil {
			return "", fmt.Errorf("find the library: %s: %w", libraryVariable, err)
		}
		return path, checkLibrary(path)
	}
	dir := filepath.Dir(self)
	places := []string{filepath.Join(dir, "../lib/monmod/libmonmod.so"), filepath.Join(dir, "libmonmod.so")}
	for _, path := range places {
		if _, err := os.Stat(path); err == nil {
			return path, checkLibrary(path)
		}
	}
	return "", fmt.Errorf("find the library: there is neither %s nor %s: install it (make install)", places[0], places[1])
}

func checkLibrary(path string) error {
	if err := library.Check(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("examine the library %s: %w", path, err)
	}
	if info.Mode()&0o005 != 0o005 {
		return fmt.Errorf("examine the library %s: not everyone may read and execute it (mode %#o), but containers run as any user: chmod 755 it", path, info.Mode().Perm())
	}
	var mount unix.Statfs_t
	if err := unix.Statfs(path, &mount); err != nil {
		return fmt.Errorf("examine the file system of the library %s: %w", path, err)
	}
	if mount.Flags&unix.ST_NOEXEC != 0 {
		return fmt.Errorf("examine the library %s: its file system is mounted noexec, so no container can start it: install it elsewhere", path)
	}
	return nil
}
