// Package dockerd runs a private Docker daemon for the demo and the tests: a dockerd and a containerd of their own, with
// folders, sockets and cgroups of their own, without any network set-up of the host. What is started here is ended by its own
// process ID; a Docker that the host runs is neither used nor touched.
//
// Nothing here knows what the containers are for. Root is needed.
package dockerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 30 * time.Second
)

// Daemon is a running private daemon.
type Daemon struct {
	dir        string // everything that it keeps; short, since unix sockets lie in it
	cgroup     string // name of the parent of its containers' cgroups
	made       []string
	containerd *daemon
	dockerd    *daemon
}

// Start starts a daemon that offers the given OCI runtimes (name to absolute path) beside runc.
func Start(ctx context.Context, runtimes map[string]string) (*Daemon, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("starting a private Docker daemon: it needs root: run this with sudo")
	}
	dir, err := os.MkdirTemp("", "mm-docker-")
	if err != nil {
		return nil, fmt.Errorf("starting a private Docker daemon: %w", err)
	}
	d := &Daemon{dir: dir, cgroup: filepath.Base(dir), made: missing(sharedFolders)}
	if err := d.start(ctx, runtimes); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a private Docker daemon: %w", err), d.Stop())
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context, runtimes map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()

	// dockerd takes a system-wide containerd when it finds one, so it is given its own.
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		d.path("containerd"), d.path("c"), d.containerdSocket())
	if err := os.WriteFile(d.path("containerd.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	var err error
	if d.containerd, err = launch(d.path("containerd.log"), "containerd", "--config", d.path("containerd.toml")); err != nil {
		return err
	}
	if err := d.containerd.waitFor(ctx, func() bool { return exists(d.containerdSocket()) }); err != nil {
		return err
	}

	arguments := []string{
		"--containerd", d.containerdSocket(), "--data-root", d.path("data"), "--exec-root", d.path("exec"),
		"--pidfile", d.path("dockerd.pid"), "--host", "unix://" + d.socket(), "--config-file", d.path("daemon.json"),
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--cgroup-parent", "/" + d.cgroup,
		"--exec-opt", "native.cgroupdriver=cgroupfs", // systemd would make its cgroups elsewhere, and keep them
	}
	if err := os.WriteFile(d.path("daemon.json"), []byte("{}\n"), 0o600); err != nil {
		return err
	}
	for name, path := range runtimes {
		arguments = append(arguments, "--add-runtime", name+"="+path)
	}
	if d.dockerd, err = launch(d.path("dockerd.log"), "dockerd", arguments...); err != nil {
		return err
	}
	return d.dockerd.waitFor(ctx, func() bool { return d.Docker(ctx, "version").Run() == nil })
}

// Docker is a command of the docker client, which talks to this daemon. It is Debian's client where there is one.
func (d *Daemon) Docker(ctx context.Context, arguments ...string) *exec.Cmd {
	client := "/usr/bin/docker"
	if !exists(client) {
		client = "docker"
	}
	command := exec.CommandContext(ctx, client, append([]string{"--host", "unix://" + d.socket()}, arguments...)...)
	command.Env = append(os.Environ(), "DOCKER_CONFIG="+d.path("client"))
	return command
}

// Containerd is a command of containerd's own client, ctr, which talks to this daemon's containerd.
func (d *Daemon) Containerd(ctx context.Context, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ctr", append([]string{"--address", d.containerdSocket(), "--namespace", d.cgroup}, arguments...)...)
}

// Load loads an archive as `docker save` makes it.
func (d *Daemon) Load(ctx context.Context, archive string) error {
	if out, err := d.Docker(ctx, "load", "--quiet", "--input", archive).CombinedOutput(); err != nil {
		return fmt.Errorf("loading %s into Docker: %w\n%s", archive, err, out)
	}
	return nil
}

// Log is what the daemon has written so far, for the message of a failure.
func (d *Daemon) Log() string {
	log, err := os.ReadFile(d.path("dockerd.log"))
	if err != nil {
		return err.Error()
	}
	return string(log)
}

// Stop removes the containers, ends the daemon and removes everything that it made. It may be called again.
func (d *Daemon) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var failures []error
	if d.dockerd.running() {
		failures = append(failures, d.removeContainers(ctx))
	}
	// dockerd needs its containerd until the end.
	failures = append(failures, d.dockerd.stop(), d.containerd.stop(), d.clean())
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("stopping the private Docker daemon in %s: %w", d.dir, err)
	}
	return nil
}

func (d *Daemon) path(name string) string  { return filepath.Join(d.dir, name) }
func (d *Daemon) socket() string           { return d.path("docker.sock") }
func (d *Daemon) containerdSocket() string { return d.path("containerd.sock") }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
