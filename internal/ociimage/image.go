// Package ociimage builds small OCI images out of files of the host's own packages, without a container engine: what the demo
// and the tests run in containers. An image is a root file system with one program, the libraries that it needs and files of
// the caller's; umoci writes it as an OCI image layout and unpacks it to a bundle, skopeo turns it into what docker loads.
//
// Nothing here knows of monmod, and nothing that monmod runs depends on this package.
package ociimage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Image describes an image.
type Image struct {
	Name       string            // name and tag: "web:1"
	Packages   []string          // installed Debian packages, whose programs and libraries it holds
	Programs   map[string]string // further programs: path in the image, path on the host
	Files      map[string]string // further files: path in the image, content
	Entrypoint []string
	Command    []string
	Env        []string // NAME=value
	User       string   // user or user:group, as numbers; empty is root
}

// Layout is an OCI image layout on disk that holds one image.
type Layout struct {
	Dir string
	Tag string
}

// Write builds the image in dir, which must exist, and returns its layout. The root file system is left beside it.
func (i Image) Write(ctx context.Context, dir string) (Layout, error) {
	name, tag, ok := strings.Cut(i.Name, ":")
	if !ok || name == "" || tag == "" {
		return Layout{}, fmt.Errorf("building an image: its name %q is not of the form name:tag", i.Name)
	}
	root := filepath.Join(dir, "rootfs")
	if err := i.fill(ctx, root); err != nil {
		return Layout{}, fmt.Errorf("building the image %s: %w", i.Name, err)
	}
	layout := Layout{Dir: filepath.Join(dir, "layout"), Tag: tag}
	config := []string{"config", "--image", layout.reference(), "--config.workingdir", "/"}
	for _, list := range []struct {
		flag   string
		values []string
	}{{"--config.entrypoint", i.Entrypoint}, {"--config.cmd", i.Command}, {"--config.env", i.Env}} {
		for _, value := range list.values {
			config = append(config, list.flag, value)
		}
	}
	if i.User != "" {
		config = append(config, "--config.user", i.User)
	}
	for _, arguments := range [][]string{
		{"init", "--layout", layout.Dir},
		{"new", "--image", layout.reference()},
		{"insert", "--image", layout.reference(), root, "/"},
		config,
	} {
		if err := run(ctx, "umoci", arguments...); err != nil {
			return Layout{}, fmt.Errorf("building the image %s: %w", i.Name, err)
		}
	}
	return layout, nil
}

func (l Layout) reference() string { return l.Dir + ":" + l.Tag }

// Archive writes the image as a file that `docker load` and `podman load` accept, under the given name and tag.
func (l Layout) Archive(ctx context.Context, name, file string) error {
	if err := run(ctx, "skopeo", "copy", "--quiet", "oci:"+l.reference(), "docker-archive:"+file+":"+name); err != nil {
		return fmt.Errorf("archiving the image %s: %w", name, err)
	}
	return nil
}

// run executes one of the packaging tools.
func run(ctx context.Context, tool string, arguments ...string) error {
	out, err := exec.CommandContext(ctx, tool, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w (it comes with Debian's package %s)\n%s", tool, strings.Join(arguments, " "), err, tool, out)
	}
	return nil
}

// fill makes the root file system.
func (i Image) fill(ctx context.Context, root string) error {
	if err := skeleton(root); err != nil {
		return err
	}
	for _, name := range i.Packages {
		files, err := packageFiles(ctx, name)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := copyProgram(ctx, root, file, file); err != nil {
				return err
			}
		}
	}
	for to, from := range i.Programs {
		if err := copyProgram(ctx, root, from, to); err != nil {
			return err
		}
	}
	for to, content := range i.Files {
		to = filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
