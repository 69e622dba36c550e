package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// realPath follows the symbolic links of an absolute path of which the last
// parts may not exist yet: what it returns is the same before and after they
// are made.
func realPath(path string) (string, error) {
	done, rest := "/", strings.Split(filepath.Clean(path), "/")
	for links := 0; len(rest) > 0; {
		if rest[0] == "" {
			rest = rest[1:]
			continue
		}
		next := filepath.Join(done, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// Nothing below it can be a link.
		case err != nil:
			return "", fmt.Errorf("follow the links of %s: %w", path, err)
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", fmt.Errorf("follow the links of %s: more than %d: name a folder without them", path, maxLinks)
			}
			target, err := os.Readlink(next)
			if err != nil {
				return "", fmt.Errorf("follow the links of %s: %w", path, err)
			}
			if filepath.IsAbs(target) {
				done = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		}
		done = next
	}
	return done, nil
}
