package guest

import (
	_ "embed"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

//go:embed container.sh
var container string

// server builds the tests' own web server, a static program.
func server(t *testing.T) string {
	t.Helper()
	program, err := cprog.MuslStatic.Compile(filepath.Join(target.Root(), "test/programs/c/server.c"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// TestContainer runs containers by runc and by monmod-runtime over it, as two variants that the module arms.
func TestContainer(t *testing.T) {
	most(t, func(t *testing.T, k guest.Kernel) {
		files := project(t, k)
		files["/test/server"] = server(t)
		r := guest.Must(t, guest.Options{Kernel: k, Files: files, Script: load + container})
		t.Logf("%s%v", r.Output, r.Elapsed)
		for _, want := range []string{"code 1\n", "200 1\n200 0\n404 0\ncode 0\n"} {
			if !strings.Contains(string(r.Output), want) {
				t.Errorf("the containers did not do %q: %s", want, r)
			}
		}
	})
}
