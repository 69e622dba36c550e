package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotServed is the error of kernels of a suite that cannot be had here: the archive that this system's apt uses does not serve it,
// or not with such a kernel, or cannot be reached.
var ErrNotServed = errors.New("it cannot be had here")

// keyring is Debian's own. Each release's has the keys of the next.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// apt asks for packages and downloads them: those that this system's apt knows or, with a folder of its own, those of another suite.
// It installs nothing.
type apt struct{ dir string }

// aptOf returns the apt for a suite, "" for this system's. Its lists are got once, as all that is in the cache.
func aptOf(suite string) (apt, error) {
	if suite == "" {
		return apt{}, nil
	}
	var denied error
	dir, err := cached("apt-"+suite, func(dir string) error {
		denied = newApt(dir, suite)
		return denied
	})
	if denied != nil {
		err = fmt.Errorf("%w: %s: %w", ErrNotServed, suite, denied)
	}
	return apt{dir}, err
}

// newApt makes the folder of a suite's apt. What this system's says of how to get things, a proxy for one, goes for it too; its other
// settings do not, among them commands to run afterwards.
func newApt(dir, suite string) error {
	mirror, err := mirror()
	if err != nil {
		return err
	}
	settings, err := command("/", nil, "apt-config", "dump")
	if err != nil {
		return err
	}
	var config strings.Builder
	for line := range strings.Lines(string(settings)) {
		if strings.HasPrefix(line, "Acquire::") && !strings.HasPrefix(line, "Acquire::IndexTargets") {
			config.WriteString(line)
		}
	}
	// backports have a lower priority than what they are for
	config.WriteString("Dir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\nDir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\nAPT::Default-Release \"" + suite + "\";\n")
	var sources strings.Builder
	for _, name := range slices.Compact([]string{strings.TrimSuffix(suite, "-backports"), suite}) {
		fmt.Fprintf(&sources, "deb [signed-by=%s arch=amd64] %s %s main\n", keyring, mirror, name)
	}
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"apt.conf": config.String(), "sources.list": sources.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return apt{dir}.update()
}

func (a apt) update() error {
	_, err := a.run("/", "apt-get", "-q", "update", "--error-on=any")
	return err
}

// hint says what helps against old lists.
func (a apt) hint() string {
	if a.dir != "" {
		return "remove " + a.dir
	}
	return "run `apt-get update`; this wants the packages of Debian 12"
}

// mirror returns where this system's apt gets Debian from.
func mirror() (string, error) {
	out, err := command("/", nil, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian", "Component: main")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if first == "" {
		return "", errors.New("apt has no lists of Debian's: run `apt-get update`")
	}
	return first, nil
}

// run runs one of apt's programs and returns its standard output.
func (a apt) run(dir, program string, args ...string) ([]byte, error) {
	argv := []string{program}
	if a.dir != "" {
		argv = []string{
			"env", "APT_CONFIG=" + filepath.Join(a.dir, "apt.conf"), program,
			"-o", "Dir::State=" + filepath.Join(a.dir, "state"), "-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
			"-o", "Dir::Etc::sourcelist=" + filepath.Join(a.dir, "sources.list"), "-o", "Dir::Etc::sourceparts=/dev/null",
			"-o", "APT::Sandbox::User=root",
		}
	}
	return command(dir, nil, append(argv, args...)...)
}

// depends returns the packages that name depends on and whose names begin with one of the prefixes.
func (a apt) depends(name string, prefixes ...string) ([]string, error) {
	out, err := a.run("/", "apt-cache", "depends", "--important", name)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, a.hint())
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
		return nil, fmt.Errorf("apt knows nothing that %s depends on: %s", name, a.hint())
	}
	return found, nil
}

// closure returns what apt would install on a system with no package to have all of names.
func (a apt) closure(names []string) ([]string, error) {
	out, err := a.run("/", "apt-get", append([]string{"-s", "-q", "--no-install-recommends", "install"}, names...)...)
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(line, "Inst "); ok {
			all = append(all, strings.Fields(name)[0])
		}
	}
	return all, nil
}

// unpack downloads packages and unpacks them in dir.
func (a apt) unpack(dir string, packages []string) error {
	debs := dir + "-debs"
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(debs, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(debs)
	if _, err := a.run(debs, "apt-get", append([]string{"-q", "download"}, packages...)...); err != nil {
		return fmt.Errorf("%w\nif the archive has newer versions by now, %s", err, a.hint())
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
