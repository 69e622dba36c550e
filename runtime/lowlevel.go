package runtime

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// searchPath is where a low-level runtime is looked for beside PATH, which
// engines may start this program without.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// findLowLevel returns the path of the runtime to wrap: name is a path, or a
// name to look up. It never finds this program itself, under whatever name or
// link it was put in the other's place.
func findLowLevel(name, self string) (string, error) {
	own, err := os.Stat(self)
	if err != nil {
		return "", fmt.Errorf("find the low-level runtime: examine this program: %w", err)
	}
	if filepath.IsAbs(name) {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return "", fmt.Errorf("find the low-level runtime: %w: correct --low-level or `runtime` in the operator file", err)
		case os.SameFile(info, own):
			return "", fmt.Errorf("find the low-level runtime: %s is this program itself: name runc or crun in --low-level or in `runtime` of the operator file", name)
		case info.IsDir() || info.Mode()&0o111 == 0:
			return "", fmt.Errorf("find the low-level runtime: %s is no program: correct --low-level or `runtime` in the operator file", name)
		}
		return name, nil
	}
	if strings.Contains(name, "/") {
		return "", fmt.Errorf("find the low-level runtime: %q: write an absolute path or a name", name)
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH") + ":" + searchPath) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 && !os.SameFile(info, own) {
			return path, nil
		}
	}
	return "", fmt.Errorf("find the low-level runtime: there is no %s in PATH nor in %s: install it, or name another in --low-level or in `runtime` of the operator file", name, searchPath)
}

// defaultRoot is the state folder of a low-level runtime that root starts
// without --root.
func defaultRoot(lowLevel string) string {
	if strings.Contains(filepath.Base(lowLevel), "crun") {
		return "/run/crun"
	}
	return "/run/runc"
}

// engineRoot is the state folder that a command line means, absolute and without
// symbolic links: an engine names it before it exists and after, and /var/run and
// /run are one folder.
func engineRoot(inv *Invocation, lowLevel string) (string, error) {
	root, ok := inv.Global("root")
	if !ok || root == "" {
		root = defaultRoot(lowLevel)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("find the state folder %s: %w", root, err)
	}
	if absolute, err = realPath(absolute); err != nil {
		return "", fmt.Errorf("find the state folder: %w", err)
	}
	return absolute, nil
}

// exists reports whether the low-level runtime has a container of that name.
func exists(root, id string) bool {
	_, err := os.Stat(filepath.Join(root, id))
	return err == nil
}

var versionLine = regexp.MustCompile(`^(runc|crun) version (\d+)\.(\d+)(\S*)`)

// needsPrestart reports whether a low-level runtime does not run createRuntime
// hooks: runc before 1.0.0-rc91, crun before 0.14, and any that is not known.
// The hook does no harm twice.
func needsPrestart(version string) bool {
	m := versionLine.FindStringSubmatch(version)
	if m == nil {
		return true
	}
	major, err1 := strconv.Atoi(m[2])
	minor, err2 := strconv.Atoi(m[3])
	if err1 != nil || err2 != nil {
		return true
	}
	if m[1] == "crun" {
		return major == 0 && minor < 14
	}
	if major == 1 && minor == 0 {
		if rc, ok := strings.CutPrefix(m[4], ".0-rc"); ok {
			n, err := strconv.Atoi(strings.TrimLeft(strings.SplitN(rc, "+", 2)[0], "."))
			return err != nil || n < 91
		}
	}
	return major == 0
}

// runLowLevel runs a short command and returns what it printed.
func runLowLevel(path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s %s: %w: %s", path, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// followerFlags are the global flags that followers must be made with too.
func followerFlags(inv *Invocation) []string {
	var args []string
	if v, ok := inv.Global("systemd-cgroup"); ok && v != "false" {
		args = append(args, "--systemd-cgroup")
	}
	if v, ok := inv.Global("cgroup-manager"); ok {
		args = append(args, "--cgroup-manager="+v)
	}
	return args
}
