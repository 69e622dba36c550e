package runtime

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/monmod/monmod/internal/config"
)

// operatorDir is the only place from which a variable may name a group file:
// whoever made the image chose the variable as likely as who started it.
const operatorDir = "/etc/monmod"

// groupFile returns the group file's path with symbolic links resolved.
func groupFile(c asked) (string, error) {
	if !filepath.IsAbs(c.text) {
		return "", fmt.Errorf("%s %q: write the absolute path of a group file on this host", c.from, c.text)
	}
	if err := config.Trusted(c.text); err != nil {
		return "", fmt.Errorf("%s: %w", c.from, err)
	}
	path, err := filepath.EvalSymlinks(c.text)
	if err != nil {
		return "", fmt.Errorf("%s: resolve %s: %w", c.from, c.text, err)
	}
	if c.variable && !strings.HasPrefix(path, operatorDir+"/") {
		return "", fmt.Errorf("%s %q lies outside %s: an image could have set the variable: move the file there, or use the annotation %sconfig", c.from, path, operatorDir, AnnotationPrefix)
	}
	return path, nil
}
