package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// driver is a module of the kernel's own.
type driver struct {
	name string
	data []byte // unpacked
}

// drivers returns the named modules and what they need, in the order in which they load. What the kernel has built in is left
// out.
func (f *Fetched) drivers(names []string) ([]driver, error) {
	text, err := os.ReadFile(filepath.Join(f.modules(), "modules.dep"))
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(f.modules(), "modules.builtin"))
	if err != nil {
		return nil, err
	}
	paths, needs := map[string]string{}, map[string][]string{}
	for line := range strings.Lines(string(text)) {
		path, after, _ := strings.Cut(strings.TrimSpace(line), ":")
		paths[moduleName(path)] = path
		for _, dep := range strings.Fields(after) {
			needs[moduleName(path)] = append(needs[moduleName(path)], moduleName(dep))
		}
	}
	for path := range strings.Lines(string(builtin)) {
		paths[moduleName(strings.TrimSpace(path))] = ""
	}
	var all []driver
	seen := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		path, known := paths[name]
		if !known {
			return fmt.Errorf("kernel %s has no module %s", f.Release, name)
		}
		if seen[name] || path == "" {
			return nil
		}
		seen[name] = true
		for _, dep := range needs[name] {
			if err := add(dep); err != nil {
				return err
			}
		}
		data, err := os.ReadFile(filepath.Join(f.modules(), path))
		if err == nil {
			data, err = unpacked(data)
		}
		all = append(all, driver{name, data})
		return err
	}
	for _, name := range names {
		if err := add(strings.ReplaceAll(name, "-", "_")); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// moduleName returns the name that lsmod shows for a module's file.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
