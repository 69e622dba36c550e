package guest

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed sanitized.config
var sanitizedConfig []byte

// sanitizedTimes is how many times as long a script may take with the sanitized kernel.
const sanitizedTimes = 6

const compileRecipe = "1" // to be counted up with every change of how a kernel is compiled

// compiled returns a kernel made of the newest source that apt knows, with what an unpacked one has. Another version or another
// configuration makes another one.
func compiled(k Kernel) (*Fetched, error) {
	version, err := candidate(k.Source)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s", compileRecipe, sanitizedConfig))
	dir, err := cached(fmt.Sprintf("kernel-%s-%s-%x", k, version, sum[:6]), func(dir string) error { return compile(dir, k.Source+"="+version) })
	if err != nil {
		return nil, err
	}
	found, err := filepath.Glob(filepath.Join(dir, "lib/modules/*"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("find the release of the kernel in %s: %q, %v: remove that folder", dir, found, err)
	}
	return &Fetched{Kernel: k, Release: filepath.Base(found[0]), Dir: dir}, nil
}

// candidate returns the version of a package that apt would install.
func candidate(name string) (string, error) {
	out, err := command("/", nil, "apt-cache", "policy", name)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && version != "(none)" {
			return version, nil
		}
	}
	return "", fmt.Errorf("apt knows no package %s: run `apt-get update`; this wants the packages of Debian 12", name)
}

// compile makes a kernel in dir, of source that is configured and compiled in a folder nearby.
func compile(dir, source string) error {
	tree := dir + "-tree"
	if err := extract(tree, source); err != nil {
		return err
	}
	if err := configure(tree); err != nil {
		return err
	}
	if err := makeIn(tree, "bzImage", "modules"); err != nil {
		return err
	}
	return keep(tree, dir)
}

// extract makes the folder tree of the archive that a package of source holds.
func extract(tree, source string) error {
	unpacked := tree + "-package"
	if err := (apt{}).unpack(unpacked, []string{source}); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(unpacked, "usr/src/linux-source-*.tar.*"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("look for the source in package %s: got %q, %v", source, archives, err)
	}
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	_, err = command("/", nil, "tar", "-C", tree, "--strip-components=1", "-xf", archives[0])
	return err
}

// configure makes a configuration of which all holds that sanitized.config says: what depends on something that is missing would
// be left out without a word.
func configure(tree string) error {
	const name = "monmod.config"
	if err := os.WriteFile(filepath.Join(tree, "kernel/configs", name), sanitizedConfig, 0o644); err != nil {
		return err
	}
	for _, target := range []string{"tinyconfig", name} {
		if err := makeIn(tree, target); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(tree, ".config"))
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		has[line] = true
	}
	for line := range strings.Lines(string(sanitizedConfig)) {
		name, not := strings.CutPrefix(strings.TrimSuffix(line, " is not set\n"), "# CONFIG_")
		if strings.HasPrefix(line, "CONFIG_") && !has[line] || not && has["CONFIG_"+name+"=y\n"] {
			return fmt.Errorf("the kernel's configuration is not what sanitized.config says, %q: something depends on it, or it on something that is missing",
				strings.TrimSpace(line))
		}
	}
	return nil
}

// makeIn runs the kernel's build, as the last to get a processor: it takes long.
func makeIn(tree string, targets ...string) error {
	cmd := exec.Command("nice", append([]string{"make", "-s", "-C", tree, fmt.Sprintf("-j%d", runtime.NumCPU())}, targets...)...)
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make %s: %w: scripts/deps installs what it needs\n%s", strings.Join(targets, " "), err, tail(string(out), 40))
	}
	return nil
}

// keep puts what is wanted of a compiled tree into dir, in the places that it has in the distribution's packages.
func keep(tree, dir string) error {
	release, err := os.ReadFile(filepath.Join(tree, "include/config/kernel.release"))
	if err != nil {
		return err
	}
	f := &Fetched{Kernel: Sanitized, Dir: dir, Release: strings.TrimSpace(string(release))}
	// There are no modules, but lists of them and of what is built in.
	if err := makeIn(tree, "modules_install", "INSTALL_MOD_PATH="+dir); err != nil {
		return err
	}
	for _, link := range []string{"build", "source"} {
		if err := os.RemoveAll(filepath.Join(f.modules(), link)); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(tree, "arch/x86/boot/bzImage"), f.Image()); err != nil {
		return err
	}
	for _, name := range []string{"Makefile", ".config", "Module.symvers", "include", "scripts", "arch/x86", "tools/objtool"} {
		to := filepath.Join(f.Headers(), name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(tree, name), to); err != nil {
			return err
		}
	}
	_, err = command(f.Headers(), nil, "find", ".", "-name", "*.[oa]", "-delete")
	return err
}
