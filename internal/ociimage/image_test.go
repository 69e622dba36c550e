package ociimage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func build(t *testing.T, image Image) Layout {
	t.Helper()
	layout, err := image.Write(deadline(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// TestRunsUnderRunc builds an image of a package, unpacks it and runs the program with runc, as the image says.
func TestRunsUnderRunc(t *testing.T) {
	layout := build(t, Image{
		Name:       "web:1",
		Packages:   []string{"lighttpd"},
		Files:      map[string]string{"/etc/web/web.conf": "server.document-root = \"/srv\"\nserver.port = env.PORT\nserver.systemd-socket-activation = \"disable\"\n"},
		Entrypoint: []string{"/usr/sbin/lighttpd"},
		Command:    []string{"-p", "-f", "/etc/web/web.conf"},
		Env:        []string{"PORT=1", "COLOUR=grey"},
		User:       "33:33",
	})
	bundle, err := layout.Unpack(deadline(t), filepath.Join(t.TempDir(), "bundle"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*specs.Spec){HostNetwork, SetEnv("PORT", "8123"), Annotate("org.example.a", "b=c")} {
		if err := bundle.Edit(change); err != nil {
			t.Fatal(err)
		}
	}
	id := fmt.Sprintf("ociimage-test-%d", os.Getpid())
	out, err := exec.CommandContext(deadline(t), "runc", "--root", t.TempDir(), "run", "--bundle", string(bundle), id).CombinedOutput()
	if err != nil {
		t.Fatalf("runc run: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "8123") {
		t.Errorf("the program does not print its configuration with the bundle's port:\n%s", out)
	}
	if err := bundle.Edit(func(s *specs.Spec) {
		if s.Annotations["org.example.a"] != "b=c" || s.Process.User.UID != 33 || s.Process.User.GID != 33 || s.Process.Terminal {
			t.Errorf("annotations %v, user %+v, terminal %v", s.Annotations, s.Process.User, s.Process.Terminal)
		}
		env := strings.Join(s.Process.Env, " ")
		if !strings.Contains(env, "COLOUR=grey") || strings.Contains(env, "PORT=1 ") {
			t.Errorf("environment %q", env)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestArchive(t *testing.T) {
	layout := build(t, Image{Name: "tool:7", Programs: map[string]string{"/bin/echo": "/usr/bin/echo"}, Entrypoint: []string{"/bin/echo"}})
	file := filepath.Join(t.TempDir(), "tool.tar")
	if err := layout.Archive(deadline(t), "tool:7", file); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(deadline(t), "tar", "-xOf", file, "manifest.json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), `tool:7"`) {
		t.Errorf("the archive does not name the image: %v %s", err, out)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		image Image
		want  string
	}{
		{"no tag", Image{Name: "web"}, "name:tag"},
		{"missing package", Image{Name: "web:1", Packages: []string{"no-such-package"}}, "apt-get install no-such-package"},
		{"package without programs", Image{Name: "web:1", Packages: []string{"ca-certificates"}}, "no program"},
		{"missing program", Image{Name: "web:1", Programs: map[string]string{"/x": "/nowhere/x"}}, "/nowhere/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.image.Write(deadline(t), t.TempDir())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}
