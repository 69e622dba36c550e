package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/library"
)

// defaultPath is searched where PATH is not set, as shells do.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// resolve finds a program as a shell does: by its path if it has a slash, else in PATH. The code is 127 where there is none
// and 126 where it cannot be executed.
func resolve(program string, env []string) (path string, code int, err error) {
	if program == "" {
		return "", exitNoProgram, errors.New("the program's name is empty: write one behind --, or see which variable of the command line is not set")
	}
	if strings.Contains(program, "/") {
		code, err := executable(program)
		return program, code, err
	}
	search := searchPath(env)
	code, err = exitNoProgram, fmt.Errorf("%s: no such program in PATH (%s)", program, search)
	for _, dir := range filepath.SplitList(search) {
		path := filepath.Join(dir, program)
		if !strings.Contains(path, "/") {
			path = "./" + path
		}
		c, e := executable(path)
		if e == nil {
			return path, 0, nil
		}
		if c == exitNotRunnable {
			code, err = c, e
		}
	}
	return "", code, err
}

// searchPath is the PATH of an environment.
func searchPath(env []string) string {
	for _, v := range env {
		if rest, ok := strings.CutPrefix(v, "PATH="); ok {
			return rest
		}
	}
	return defaultPath
}

func executable(path string) (code int, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return exitNoProgram, fmt.Errorf("%s: there is no such program", path)
	case err != nil:
		return exitNotRunnable, fmt.Errorf("%s: cannot be looked at: %w", path, err)
	case info.IsDir():
		return exitNotRunnable, fmt.Errorf("%s: is a folder, not a program", path)
	case !info.Mode().IsRegular():
		return exitNotRunnable, fmt.Errorf("%s: is a pipe, a socket or a device, not a program", path)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return exitNotRunnable, fmt.Errorf("%s: cannot be executed (%w): make it executable", path, err)
	}
	return 0, nil
}

// libraryPlaces are where the library is, seen from the folder of monmod's executable.
var libraryPlaces = []string{"libmonmod.so", "../lib/monmod/libmonmod.so"}

// FindLibrary returns the path of libmonmod.so beside this executable, which is whole.
func FindLibrary() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find libmonmod.so: where this executable lies is not known: %w", err)
	}
	var tried []string
	for _, place := range libraryPlaces {
		path := filepath.Join(filepath.Dir(self), place)
		code, err := executable(path)
		if err == nil {
			return path, library.Check(path)
		}
		if code == exitNotRunnable {
			return "", fmt.Errorf("find libmonmod.so: %w", err)
		}
		tried = append(tried, path)
	}
	return "", fmt.Errorf("find libmonmod.so: it is neither %s: build it (make build) or install it", strings.Join(tried, " nor "))
}
