package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
)

// tinyRoot makes a root with one of everything that a search can meet.
func tinyRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	static, err := os.ReadFile("/usr/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	dynamic, err := os.ReadFile("/usr/bin/env")
	if err != nil {
		t.Fatal(err)
	}
	i386 := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 60)...)
	for name, data := range map[string][]byte{
		"bin/static": static, "bin/dynamic": dynamic, "bin/i386": i386, "bin/script": []byte("#! /bin/static sh\n"), "bin/badscript": []byte("#!/bin/i386\n"),
		"bin/loop": []byte("#!/bin/loop\n"), "bin/text": []byte("echo\n"), "srv/app/run": []byte("#!/bin/dynamic\n"), "bin/capable": dynamic, "bin/truncated": static[:40],
	} {
		path := filepath.Join(dir, "root", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	for _, err := range []error{
		os.Symlink("/bin/static", filepath.Join(root, "bin/absolute")),
		os.Symlink("../../../../../../bin/static", filepath.Join(root, "bin/upwards")),
		os.Symlink("/usr/bin/env", filepath.Join(root, "bin/outside")),
		os.Symlink("circle", filepath.Join(root, "bin/circle")),
		os.Symlink("/srv", filepath.Join(root, "lnk")),
		os.WriteFile(filepath.Join(root, "bin/plain"), nil, 0o644),
		os.WriteFile(filepath.Join(root, "bin/private"), nil, 0o700),
		os.Chmod(filepath.Join(root, "bin/private"), 0o700),
		os.WriteFile(filepath.Join(root, "bin/setuid"), dynamic, 0o755),
		os.Chmod(filepath.Join(root, "bin/setuid"), 0o755|os.ModeSetuid),
		syscall.Mkfifo(filepath.Join(root, "bin/fifo"), 0o755),
		// CAP_NET_RAW, effective, in the form VFS_CAP_REVISION_2.
		unix.Setxattr(filepath.Join(root, "bin/capable"), "security.capability", []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0),
		os.MkdirAll(filepath.Join(dir, "tools"), 0o755),
		os.WriteFile(filepath.Join(dir, "tools/tool"), static, 0o755),
		os.WriteFile(filepath.Join(dir, "docker-init"), static, 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindProgram(t *testing.T) {
	dir := tinyRoot(t)
	for _, c := range []struct {
		name, program, cwd string
		user               uint32
		way                string
		found, want        string
	}{
		{name: "in PATH", program: "static", found: "/bin/static"},
		{name: "absolute", program: "/bin/dynamic", found: "/bin/dynamic"},
		{name: "relative", program: "./run", cwd: "/srv/app", found: "/srv/app/./run"},
		{name: "relative upwards", program: "../bin/static", cwd: "/srv", found: "/srv/../bin/static"},
		{name: "by a link of the root", program: "/lnk/app/run", found: "/lnk/app/run"},
		{name: "absolute link", program: "absolute", found: "/bin/absolute"},
		{name: "link that climbs out", program: "upwards", found: "/bin/upwards"},
		{name: "link to what only the host has", program: "/bin/outside", want: `exec: "/bin/outside": stat /bin/outside: no such file or directory`},
		{name: "script", program: "script", found: "/bin/script"},
		{name: "script of itself", program: "loop", found: "/bin/loop"},
		{name: "no ELF", program: "text", found: "/bin/text"},
		{name: "truncated", program: "truncated", found: "/bin/truncated"},
		{name: "missing in PATH", program: "nosuch", want: `unable to start container process: exec: "nosuch": executable file not found in $PATH`},
		{name: "missing", program: "/nosuch", want: `exec: "/nosuch": stat /nosuch: no such file or directory`},
		{name: "no mode in PATH", program: "plain", want: `exec: "plain": executable file not found in $PATH`},
		{name: "no mode", program: "/bin/plain", want: `exec: "/bin/plain": permission denied`},
		{name: "another's", program: "/bin/private", user: 1000, want: `exec: "/bin/private": permission denied`},
		{name: "own", program: "/bin/private", found: "/bin/private"},
		{name: "folder", program: "/bin", want: `exec: "/bin": permission denied`},
		{name: "below a file", program: "/bin/static/x", want: `exec: "/bin/static/x": stat /bin/static/x: not a directory`},
		{name: "circle", program: "/bin/circle", want: "too many levels of symbolic links"},
		{name: "empty", program: "", want: `exec: "": executable file not found in $PATH`},
		{name: "pipe", program: "/bin/fifo", want: `exec: "/bin/fifo": permission denied`},
		{name: "pipe in PATH", program: "fifo", want: `exec: "fifo": executable file not found in $PATH`},
		{name: "bound file", program: "/sbin/docker-init", found: "/sbin/docker-init"},
		{name: "bound folder", program: "/opt/tools/tool", found: "/opt/tools/tool"},
		{name: "missing in a bound folder", program: "/opt/tools/none", want: "stat /opt/tools/none: no such file or directory"},
		{name: "folder bound noexec", program: "/noexec/tool", want: `exec: "/noexec/tool": permission denied`},
		{name: "in a file system to come", program: "/tmp/later", found: "/tmp/later"},
		{name: "other processor", program: "i386", want: "/bin/i386 cannot be a variant: it is no program for x86-64"},
		{name: "script for another processor", program: "badscript", want: "no program for x86-64"},
		{name: "preload", program: "dynamic", way: control.InjectPreload, found: "/bin/dynamic"},
		{name: "preload static", program: "static", way: control.InjectPreload, want: "statically linked"},
		{name: "preload a script of a static one", program: "script", way: control.InjectPreload, want: "statically linked"},
		{name: "capabilities", program: "capable", user: 1000, found: "/bin/capable"},
		{name: "preload with capabilities", program: "capable", user: 1000, way: control.InjectPreload, want: "its file has capabilities"},
		{name: "preload with capabilities as root", program: "capable", way: control.InjectPreload, found: "/bin/capable"},
		{name: "preload as another user", program: "dynamic", user: 1000, way: control.InjectPreload, found: "/bin/dynamic"},
		{name: "preload setuid", program: "setuid", way: control.InjectPreload, want: "ignores LD_PRELOAD"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cwd == "" {
				c.cwd = "/"
			}
			b := &Bundle{Dir: dir}
			b.Spec = specs.Spec{
				Root:    &specs.Root{Path: "root"},
				Process: &specs.Process{Args: []string{c.program}, Cwd: c.cwd, Env: []string{"PATH=/x", "PATH=/usr/bin:/bin"}, User: specs.User{UID: c.user}},
				Mounts: []specs.Mount{
					{Destination: "/tmp", Type: "tmpfs"},
					{Destination: "/sbin/docker-init", Type: "bind", Source: "docker-init"},
					{Destination: "/opt/tools", Type: "bind", Source: filepath.Join(dir, "tools")},
					{Destination: "/noexec", Type: "bind", Source: filepath.Join(dir, "tools"), Options: []string{"rbind", "noexec"}},
				},
			}
			found, err := findProgram(b, c.way)
			if found != c.found || c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("found %q, %v; want %q, %q", found, err, c.found, c.want)
			}
		})
	}
}

// FuzzELF: the headers are an image's own claims.
func FuzzELF(f *testing.F) {
	for _, path := range []string{"/usr/bin/env", "/usr/bin/busybox"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:1024])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := examine(data[:min(len(data), 4096)], strings.NewReader(string(data)))
		if isELF := strings.HasPrefix(string(data), "\x7fELF"); !isELF && got != otherImage {
			t.Fatalf("%q is taken for an ELF file", data)
		}
	})
}
