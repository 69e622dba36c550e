package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

// container is a bundle whose root is made of the host's own programs, in the host's network, under runc or monmod-runtime.
type container struct {
	runtime, state, bundle, id string
}

// usr lists the links at the root of a system whose programs all lie in /usr.
var usr = []string{"bin", "sbin", "lib", "lib64"}

func newContainer(base string, argv []string, how target.How) (*container, error) {
	c := &container{runtime: "/usr/sbin/runc", bundle: filepath.Join(base, "bundle"), state: filepath.Join(base, "runc"), id: fmt.Sprintf("bench-%d", os.Getpid())}
	spec := c.spec(base, argv)
	if how.Variants > 0 {
		c.runtime = target.Built("monmod-runtime")
		spec.Annotations = map[string]string{"io.monmod.variants": fmt.Sprint(how.Variants), "io.monmod.policy": how.Policy}
	}
	if err := os.RemoveAll(c.bundle); err != nil {
		return nil, err
	}
	root := filepath.Join(c.bundle, "rootfs")
	for _, dir := range []string{"usr", "etc", "proc", "dev", "tmp", "run", "var/log", base} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, err
		}
	}
	for _, name := range usr {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.bundle, "config.json"), text, 0o644); err != nil {
		return nil, fmt.Errorf("write the bundle: %w", err)
	}
	return c, nil
}

func (c *container) spec(base string, argv []string) *specs.Spec {
	bind := func(path string, options ...string) specs.Mount {
		return specs.Mount{Destination: path, Source: path, Type: "bind", Options: append([]string{"bind"}, options...)}
	}
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETGID", "CAP_SETUID", "CAP_KILL"}
	return &specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args: argv, Cwd: "/", Env: []string{"PATH=" + target.Path}, NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=65536k"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev"}},
			bind("/usr", "ro"), bind("/etc", "ro"), bind(base),
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}},
		},
	}
}

func (c *container) argv() []string {
	return []string{c.runtime, "--root", c.state, "run", "--bundle", c.bundle, c.id}
}

// remove deletes what a container that ended by force leaves; one that ended well is gone already, which is no failure.
func (c *container) remove() {
	_, err := proc.Run(proc.Spec{Argv: []string{c.runtime, "--root", c.state, "delete", "--force", c.id}, Dir: "/", Deadline: 30 * time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: remove the container:", err)
	}
}
