package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

// TestDoubt: a command line that is not understood is passed on, unless a
// bundle that asks for monitoring could be meant.
func TestDoubt(t *testing.T) {
	dir := t.TempDir()
	asks, plain := filepath.Join(dir, "asks"), filepath.Join(dir, "plain")
	for path, text := range map[string]string{asks: strings.Replace(plainSpec, `"cwd"`, `"env":["MONMOD_VARIANTS=2"],"cwd"`, 1), plain: plainSpec} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "config.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(plain)
	for _, c := range []struct {
		args    string
		require bool
		want    string
	}{
		{args: "create -b" + asks + " x", want: "asks for monitoring"},
		{args: "create --bundl=" + asks + " x", want: "asks for monitoring"},
		{args: "create --bundl " + asks + " x", want: "asks for monitoring"},
		{args: "create --new -b " + asks + " x", want: "asks for monitoring"},
		{args: "--new y run -b ../asks x", want: "asks for monitoring"},
		{args: "create --conf " + asks + "/config.json x", want: "asks for monitoring"},
		{args: "create --new -b " + plain + " x"},
		{args: "create --new x"},
		{args: "--new state x"},
		{args: "--new y state " + asks},
		{args: "create --new x", require: true, want: "this host requires monitoring"},
	} {
		t.Run(c.args, func(t *testing.T) {
			inv, err := Parse(strings.Fields(c.args))
			if err != nil || inv.Doubt == "" {
				t.Fatalf("%+v, %v", inv, err)
			}
			w := &wrapper{operator: &config.Operator{}, require: c.require}
			err = w.doubtful(inv)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestClaim: the remains of a container give way to a new one, a living one
// does not, and what was never made is swept.
func TestClaim(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the state folder")
	}
	id := fmt.Sprintf("mm-claim-%d", os.Getpid())
	p := &control.Plan{Container: id, Root: t.TempDir()}
	defer os.RemoveAll(p.Dir())
	unlock, err := lockState()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for range 2 {
		if err := claim(p); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Dir(), "remains"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := control.Listen(filepath.Join(p.Dir(), control.SocketFile))
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(p.Dir(), old, old); err != nil {
		t.Fatal(err)
	}
	sweep()
	if err := claim(p); err == nil || !strings.Contains(err.Error(), "in another engine or state folder") {
		t.Errorf("while a supervisor serves: %v", err)
	}
	l.Close()
	sweep()
	if _, err := os.Stat(p.Dir()); !os.IsNotExist(err) {
		t.Errorf("not swept: %v", err)
	}
	if err := os.Mkdir(filepath.Join(p.Root, id), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := claim(p); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("while the low-level runtime has it: %v", err)
	}
}

// TestDenies: what the operator says now holds for containers that run already.
func TestDenies(t *testing.T) {
	for _, c := range []struct {
		plan     string
		operator config.Exec
		want     bool
	}{
		{control.ExecAllow, config.ExecAllow, false}, {control.ExecAllow, config.ExecDeny, true},
		{control.ExecDeny, config.ExecAllow, true}, {control.ExecDeny, config.ExecDeny, true},
	} {
		w := &wrapper{operator: &config.Operator{Exec: c.operator}}
		if got := w.denies(&control.Plan{Exec: c.plan}); got != c.want {
			t.Errorf("plan %s, operator %s: %v", c.plan, c.operator, got)
		}
	}
}
