package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A follower works on the leader's files and gets the leader's results, so it
// needs the same programs at the same paths and nothing that reaches the world:
// it reads, and what it would write the leader writes.

// followerNamespaces are a follower's own whatever the leader shares with
// others: network, so that it has none; the others, so that it reaches nobody.
var followerNamespaces = []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace}

// virtual are the file systems that every container gets anew; all others but
// binds are somebody's data, which the leader has mounted for itself.
var virtual = []string{"tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"}

// derive makes a follower's specification of the leader's bundle as it was
// before rewriting: b is not changed. suffix marks its cgroup.
func derive(b *Bundle, in *injection, suffix string) (object, error) {
	raw := maps.Clone(b.raw)
	delete(raw, "hooks")
	for _, edit := range []func(*Bundle, object) error{
		deriveProcess, deriveRoot, deriveMounts, deriveAnnotations,
		func(b *Bundle, raw object) error { return deriveLinux(b, raw, suffix) },
	} {
		if err := edit(b, raw); err != nil {
			return nil, fmt.Errorf("derive a follower: %w", err)
		}
	}
	if err := in.inject(raw); err != nil {
		return nil, fmt.Errorf("derive a follower: %w", err)
	}
	return raw, nil
}

// deriveProcess takes the terminal away: the leader alone has one.
func deriveProcess(_ *Bundle, raw object) error {
	process, err := raw.member("process")
	if err != nil {
		return err
	}
	delete(process, "consoleSize")
	if err := process.set("terminal", false); err != nil {
		return err
	}
	return raw.set("process", process)
}

func deriveRoot(b *Bundle, raw object) error {
	root, err := raw.member("root")
	if err != nil {
		return err
	}
	if err := root.set("path", b.Rootfs()); err != nil {
		return err
	}
	if err := root.set("readonly", true); err != nil {
		return err
	}
	return raw.set("root", root)
}

func deriveMounts(b *Bundle, raw object) error {
	mounts, err := raw.list("mounts")
	if err != nil {
		return err
	}
	for i := range mounts {
		var m object
		var spec specs.Mount
		if err := errors.Join(json.Unmarshal(mounts[i], &m), json.Unmarshal(mounts[i], &spec)); err != nil {
			return fmt.Errorf("config.json: mounts: %w", err)
		}
		if m == nil {
			return errors.New("config.json: mounts: one is null")
		}
		switch {
		case !isBind(spec) && slices.Contains(virtual, spec.Type):
			continue
		case !isBind(spec):
			return fmt.Errorf("the container mounts %s (%s) at %s itself, and a second mount of it may see other files: mount it on the host and bind it into the container", spec.Source, spec.Type, spec.Destination)
		}
		if err := m.set("source", b.absolute(spec.Source)); err != nil {
			return err
		}
		if err := m.set("options", readOnly(spec.Options)); err != nil {
			return err
		}
		if mounts[i], err = encode(m); err != nil {
			return err
		}
	}
	return raw.set("mounts", mounts)
}

// readOnly makes mount options those of a follower: nothing is written, and no
// mount of it spreads to the host.
func readOnly(options []string) []string {
	kept := []string{}
	for _, o := range options {
		switch o {
		case "rw", "ro":
			continue
		case "shared":
			o = "slave"
		case "rshared":
			o = "rslave"
		}
		kept = append(kept, o)
	}
	return append(kept, "ro")
}

// deriveAnnotations drops what would make a follower a leader.
func deriveAnnotations(_ *Bundle, raw object) error {
	annotations, err := raw.member("annotations")
	if err != nil || len(annotations) == 0 {
		return err
	}
	maps.DeleteFunc(annotations, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, AnnotationPrefix) })
	if len(annotations) == 0 {
		delete(raw, "annotations")
		return nil
	}
	return raw.set("annotations", annotations)
}

func deriveLinux(b *Bundle, raw object, suffix string) error {
	linux, err := raw.member("linux")
	if err != nil {
		return err
	}
	delete(linux, "netDevices")
	list := []specs.LinuxNamespace{}
	for _, n := range b.Spec.Linux.Namespaces {
		list = append(list, specs.LinuxNamespace{Type: n.Type})
	}
	for _, t := range followerNamespaces {
		if !slices.ContainsFunc(list, func(n specs.LinuxNamespace) bool { return n.Type == t }) {
			list = append(list, specs.LinuxNamespace{Type: t})
		}
	}
	if err := linux.set("namespaces", list); err != nil {
		return err
	}
	if p := b.Spec.Linux.CgroupsPath; p != "" {
		if err := linux.set("cgroupsPath", siblingCgroup(p, suffix)); err != nil {
			return err
		}
	}
	if p := b.Spec.Linux.RootfsPropagation; strings.HasSuffix(p, "shared") {
		if err := linux.set("rootfsPropagation", strings.TrimSuffix(p, "shared")+"slave"); err != nil {
			return err
		}
	}
	return raw.set("linux", linux)
}

// siblingCgroup names a cgroup beside the leader's, in either of the two forms:
// a path, or slice:prefix:name for systemd.
func siblingCgroup(path, suffix string) string {
	if strings.Count(path, ":") == 2 && !strings.Contains(path, "/") {
		return path + suffix
	}
	return filepath.Clean(path) + suffix
}
