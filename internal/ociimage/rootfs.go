package ociimage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// skeleton makes an empty root file system: the folders that a runtime mounts on, and Debian's merged /usr.
func skeleton(root string) error {
	for _, dir := range []string{"dev", "etc", "proc", "run", "sys", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"bin", "lib", "lib64", "sbin"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(root, "tmp"), fs.ModeSticky|0o777)
}

// packageFiles lists the programs and libraries of an installed package: its ELF files below /usr. Documentation and the
// distribution's configuration stay out.
func packageFiles(ctx context.Context, name string) ([]string, error) {
	list, err := exec.CommandContext(ctx, "dpkg", "-L", name).Output()
	if err != nil {
		return nil, fmt.Errorf("listing the files of the package %s (install it with apt-get install %s): %w", name, name, err)
	}
	var files []string
	for _, path := range strings.Fields(string(list)) {
		if !strings.HasPrefix(path, "/usr/") {
			continue
		}
		program, err := isELF(path)
		if err != nil {
			return nil, fmt.Errorf("reading the package %s: %w", name, err)
		}
		if program {
			files = append(files, path)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("the package %s holds no program and no library", name)
	}
	return files, nil
}

func isELF(path string) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(file, magic); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return bytes.Equal(magic, []byte("\x7fELF")), nil
}

// copyProgram copies the program or library from (on the host) to (in the image), and the libraries that it needs.
func copyProgram(ctx context.Context, root, from, to string) error {
	if err := copyFile(from, filepath.Join(root, to)); err != nil {
		return err
	}
	libraries, err := libraries(ctx, from)
	if err != nil {
		return err
	}
	for _, library := range libraries {
		if err := copyLibrary(root, library); err != nil {
			return err
		}
	}
	return nil
}

// libraries lists the absolute paths of what the loader would load for file, the loader itself included.
func libraries(ctx context.Context, file string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", file).CombinedOutput()
	if err != nil {
		if bytes.Contains(out, []byte("not a dynamic executable")) {
			return nil, nil
		}
		return nil, fmt.Errorf("asking for the libraries of %s: ldd: %w\n%s", file, err, out)
	}
	var found []string
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "=> not found") {
			return nil, fmt.Errorf("%s needs a library that is not installed: %s", file, strings.TrimSpace(line))
		}
		for _, field := range strings.Fields(line) {
			if filepath.IsAbs(field) {
				found = append(found, field)
			}
		}
	}
	return found, nil
}

// copyLibrary copies a library to the same path in the image. A symbolic link is copied with what it leads to; the folders
// are resolved first, since /lib is a link in the image as well.
func copyLibrary(root, path string) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return err
	}
	path = filepath.Join(dir, filepath.Base(path))
	to := filepath.Join(root, path)
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	link, err := os.Readlink(path)
	if err != nil {
		return copyFile(path, to)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(link, to); err != nil {
		return err
	}
	if !filepath.IsAbs(link) {
		link = filepath.Join(dir, link)
	}
	return copyLibrary(root, link)
}

// copyFile copies content, permissions and time of a regular file.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
