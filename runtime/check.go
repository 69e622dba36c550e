package runtime

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Annotations by which engines mark the container that only holds a pod's
// namespaces.
const (
	criType    = "io.kubernetes.cri.container-type"
	crioType   = "io.kubernetes.cri-o.ContainerType"
	manager    = "io.container.manager"
	podman     = "libpod"
	sandboxPod = "sandbox"
)

// isSandbox reports whether the container is a pod's sandbox, which runs no
// program of anyone's. podman is not believed: it copies the annotations of an
// image, and an image must not choose to be unmonitored.
func isSandbox(annotations map[string]string) bool {
	if annotations[manager] == podman {
		return false
	}
	return annotations[criType] == sandboxPod || annotations[crioType] == sandboxPod
}

// checkSpec refuses a container that cannot be monitored, with the reason and
// what to do.
func checkSpec(b *Bundle) error {
	if err := b.raw.plain("", "process", "mounts", "hooks", "annotations", "root", "linux"); err != nil {
		return err
	}
	for _, o := range []struct {
		name    string
		members []string
	}{
		{"process", []string{"args", "env", "cwd", "user", "terminal", "consoleSize", "noNewPrivileges"}},
		{"root", []string{"path", "readonly"}},
		{"linux", []string{"namespaces", "seccomp", "cgroupsPath", "rootfsPropagation", "uidMappings", "gidMappings"}},
	} {
		m, err := b.raw.member(o.name)
		if err != nil {
			return err
		}
		if err := m.plain(o.name+".", o.members...); err != nil {
			return err
		}
	}
	s := &b.Spec
	switch {
	case s.Process == nil || len(s.Process.Args) == 0:
		return errors.New("config.json has no process.args: there is no program to monitor")
	case s.Linux == nil:
		return errors.New("config.json has no linux section: only Linux containers can be monitored")
	case s.VM != nil || s.Windows != nil || s.Solaris != nil || s.ZOS != nil || s.FreeBSD != nil:
		return errors.New("config.json is for another platform too: only plain Linux containers can be monitored")
	}
	if err := checkNamespaces(s.Linux); err != nil {
		return err
	}
	if err := checkMounts(s.Mounts); err != nil {
		return err
	}
	return checkSeccomp(s.Linux.Seccomp)
}

// CheckBundle says why a container of the bundle dir could not be monitored, before anything is asked for or made.
func CheckBundle(dir string) error {
	b, err := ReadBundle(dir, defaultConfig)
	if err != nil {
		return fmt.Errorf("look at the bundle %s: %w", dir, err)
	}
	return checkSpec(b)
}

func checkNamespaces(l *specs.Linux) error {
	for _, n := range l.Namespaces {
		if n.Type == specs.UserNamespace {
			return errors.New("the container has a user namespace, in which the supervisor cannot tell by its user who connects to the monitor's socket, and the bound library may have no owner: run it without one (docker: --userns=host, and no userns-remap; podman: as root, without --userns)")
		}
	}
	if len(l.UIDMappings) > 0 || len(l.GIDMappings) > 0 {
		return errors.New("the container maps user IDs, which monitoring does not support yet: remove linux.uidMappings and linux.gidMappings")
	}
	i := slices.IndexFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.MountNamespace })
	if i < 0 || l.Namespaces[i].Path != "" {
		return errors.New("the container has no mount namespace of its own, so the monitor's library would be mounted for others too: add a new one to linux.namespaces")
	}
	return nil
}

// checkMounts makes sure that the library can be mounted below the container's
// own /dev, and that nothing lies over it.
func checkMounts(mounts []specs.Mount) error {
	dev := specs.Mount{}
	for _, m := range mounts {
		switch at := path.Clean("/" + m.Destination); {
		case at == "/":
			return errors.New("the container mounts something over its root, which would cover the monitor's library: use root.path instead")
		case at == "/dev":
			dev = m
		case at == guestDir || at == guestLibrary:
			if !isBind(m) || !strings.HasPrefix(m.Source, "/") {
				return fmt.Errorf("the container mounts something at %s, which is the monitor's place: mount it elsewhere", at)
			}
		case strings.HasPrefix(at, guestDir+"/"):
			return fmt.Errorf("the container mounts something at %s, in the monitor's place %s: mount it elsewhere", at, guestDir)
		}
	}
	switch {
	case dev.Destination == "":
		return errors.New("the container has no /dev of its own, where the monitor's library goes: add a tmpfs mount at /dev")
	case dev.Type != "tmpfs" || isBind(dev):
		return fmt.Errorf("the container's /dev is not its own (%s from %s), and the monitor's library would be put into it: leave /dev to the engine (no -v /dev:/dev)", dev.Type, dev.Source)
	}
	return nil
}

// checkHost refuses where this process is not root of the host: it could
// neither keep the container's user from the plan nor reach its processes.
func checkHost() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("monitoring a container needs root, this is user %d: start the engine as root, or use `monmod run`, which does not need it", os.Geteuid())
	}
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return fmt.Errorf("see whether this is the host's user namespace: %w", err)
	}
	if strings.Join(strings.Fields(string(data)), " ") != "0 0 4294967295" {
		return errors.New("the engine runs in a user namespace (rootless), where monitoring containers does not work yet: start the engine as root, or use `monmod run`, which does not need it")
	}
	return nil
}
