package ociimage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Bundle is an OCI bundle: a folder that holds config.json and rootfs/.
type Bundle string

// Unpack makes a bundle at dir, which must not exist. Its config.json is umoci's, without a terminal.
func (l Layout) Unpack(ctx context.Context, dir string) (Bundle, error) {
	if err := run(ctx, "umoci", "unpack", "--image", l.reference(), dir); err != nil {
		return "", fmt.Errorf("unpacking the image at %s: %w", l.Dir, err)
	}
	b := Bundle(dir)
	return b, b.Edit(func(s *specs.Spec) { s.Process.Terminal = false })
}

// Edit changes the bundle's config.json.
func (b Bundle) Edit(change func(*specs.Spec)) error {
	file := filepath.Join(string(b), "config.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("changing a bundle: %w", err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("changing a bundle: reading %s: %w", file, err)
	}
	if spec.Process == nil || spec.Linux == nil {
		return fmt.Errorf("changing a bundle: %s has no process or no linux section", file)
	}
	change(&spec)
	if text, err = json.MarshalIndent(&spec, "", "\t"); err != nil {
		return fmt.Errorf("changing a bundle: %w", err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("changing a bundle: %w", err)
	}
	return nil
}

// HostNetwork is a change for Edit: the container uses the host's network.
func HostNetwork(s *specs.Spec) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.NetworkNamespace
	})
}

// SetEnv is a change for Edit: the process gets the variable, in the place of one of the same name.
func SetEnv(name, value string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		prefix := name + "="
		s.Process.Env = slices.DeleteFunc(s.Process.Env, func(v string) bool {
			return len(v) >= len(prefix) && v[:len(prefix)] == prefix
		})
		s.Process.Env = append(s.Process.Env, prefix+value)
	}
}

// Annotate is a change for Edit.
func Annotate(key, value string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[key] = value
	}
}
