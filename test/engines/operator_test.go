package engines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/ociimage"
)

// operate writes a file into /etc/monmod for the length of a test.
func operate(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(operatorDir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	return path
}

// TestOperator: what an image brings (its ENV; annotations, which podman copies) and what a container's user asks for cannot
// weaken what the operator set. It is not parallel to others, which the operator's file would concern too.
func TestOperator(t *testing.T) {
	operate(t, "runtime.yaml", "require: true\npolicy: base\nexec: deny\non_divergence: kill\n")
	outside := filepath.Join(tests.dir, "group.yaml")
	if err := os.WriteFile(outside, []byte("leader: 1\nvariants: [{id: 1}, {id: 2}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	audit := operate(t, "audit.yaml", "leader: 1\nvariants: [{id: 1}, {id: 2}]\non_divergence: audit\n")
	for _, e := range engines() {
		for _, c := range []struct {
			name string
			env  []string // as an image has it
			asks map[string]string
			want string // "": it runs
		}{
			{"nothing", nil, nil, "this host requires it"},
			{"policy", nil, map[string]string{"variants": "2", "policy": "socket_rw"}, "policy socket_rw is asked for"},
			{"policy of the image", []string{"MONMOD_POLICY=socket_rw"}, variants(2), "policy socket_rw is asked for"},
			{"exec", nil, map[string]string{"variants": "2", "exec": "allow"}, "exec allow is asked for"},
			{"audit", nil, map[string]string{"variants": "2", "config": audit}, "on_divergence audit is asked for"},
			{"file elsewhere", []string{"MONMOD_CONFIG=" + outside}, variants(2), "lies outside /etc/monmod"},
			{"preload of the image", []string{"MONMOD_INJECT=preload"}, variants(2), "asks for preload"},
			{"unknown variable", []string{"MONMOD_OFF=1"}, variants(2), "unknown variable MONMOD_OFF"},
			{"allowed", []string{"MONMOD_POLICY=base"}, variants(2), ""},
		} {
			t.Run(e.name()+"/"+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
				s := spec{id: "mm-operator-" + e.name(), args: []string{"/usr/bin/sleep", "300"}, env: c.env, asks: c.asks}
				t.Cleanup(func() { e.remove(t, s.id) })
				r := e.start(t, s)
				if c.want == "" {
					if r.Status != 0 {
						t.Fatalf("%s\n%s", r, logs(t))
					}
					if r := e.exec(t, s.id, "/usr/bin/id"); r.Status == 0 {
						t.Errorf("exec is allowed: %s", r)
					}
				} else if r.Status == 0 || !strings.Contains(string(r.Stderr), c.want) {
					t.Errorf("want %q: %s", c.want, r)
				}
			})
		}
	}
}

// TestRequire: the runtime's own flag does the same.
func TestRequire(t *testing.T) {
	t.Parallel()
	r := tests.runc
	b := r.bundle(t, spec{id: "mm-require-runc", args: []string{"/usr/bin/env"}})
	got := command(t, r.client("--require", "run", "--bundle", string(b), "mm-require-runc"))
	if got.Status == 0 || !strings.Contains(string(got.Stderr), "this host requires it (--require") || len(got.Stdout) > 0 {
		t.Errorf("%s", got)
	}
	// A pod's sandbox runs no program of anyone's.
	if err := b.Edit(ociimage.Annotate("io.kubernetes.cri.container-type", "sandbox")); err != nil {
		t.Fatal(err)
	}
	if got = command(t, r.client("--require", "run", "--bundle", string(b), "mm-require-runc")); got.Status != 0 || !strings.Contains(string(got.Stdout), "COLOUR=grey") {
		t.Errorf("a sandbox: %s", got)
	}
	// But podman's containers are none, whatever their image says.
	if err := b.Edit(ociimage.Annotate("io.container.manager", "libpod")); err != nil {
		t.Fatal(err)
	}
	if got = command(t, r.client("--require", "run", "--bundle", string(b), "mm-require-runc")); got.Status == 0 {
		t.Errorf("an image that calls itself a sandbox: %s", got)
	}
}

// TestUntouched: a container that asks for nothing runs as under runc itself, and its config.json stays as it is.
func TestUntouched(t *testing.T) {
	t.Parallel()
	r := tests.runc
	b := r.bundle(t, spec{id: "mm-untouched-runc", args: []string{"/usr/bin/env"}})
	file := filepath.Join(string(b), "config.json")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := command(t, r.client("run", "--bundle", string(b), "mm-untouched-runc")); got.Status != 0 || !strings.Contains(string(got.Stdout), "COLOUR=grey") {
		t.Errorf("%s", got)
	}
	if after, err := os.ReadFile(file); err != nil || string(before) != string(after) {
		t.Errorf("config.json was changed (%v)", err)
	}
}

// TestCheckpoint: a monitored container cannot be checkpointed yet, and says so; it goes on.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	r := tests.runc
	id := started(t, r, spec{id: "mm-checkpoint-runc", args: []string{"/usr/bin/sleep", "300"}, asks: variants(2)})
	got := command(t, r.client("checkpoint", "--image-path", r.file(id, "image"), id))
	if got.Status == 0 || !strings.Contains(string(got.Stderr), "cannot be checkpointed in this version") {
		t.Errorf("%s", got)
	}
	if state := must(t, r.client("state", id)); !strings.Contains(state, `"running"`) {
		t.Errorf("it does not go on: %s", state)
	}
}

// TestPreload: the library that the dynamic linker loads finds the supervisor, keeps the program's own name and arguments and
// what else is preloaded, and a static program is refused. podman's annotations may be an image's, so the operator has to allow it.
func TestPreload(t *testing.T) {
	operate(t, "runtime.yaml", "inject: any\n")
	everyEngine(t, func(t *testing.T, e engine) {
		asks := map[string]string{"variants": "2", "inject": "preload"}
		id := "mm-preload-" + e.name()
		long := strings.Repeat("x", 100_000) // more than fits into any buffer of fixed size
		env := []string{"LONG=" + long, "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libpcre2-8.so.0"}
		code, out := finished(t, e, spec{id: id, args: []string{"env"}, env: env, asks: asks})
		if code != 0 || !strings.Contains(out, long) || !strings.Contains(out, "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libpcre2-8.so.0\n") || strings.Contains(out, "MONMOD") {
			t.Errorf("ended with %d and %d bytes: %.300s\n%s", code, len(out), out, logs(t))
		}
		words := strings.Split(strings.Repeat("word ", 2000), " ")
		code, out = finished(t, e, spec{id: id, args: append([]string{"/usr/bin/echo"}, words...), asks: asks})
		if want := strings.Join(words, " ") + "\n"; code != 0 || out != want {
			t.Errorf("ended with %d and %d bytes, want %d\n%s", code, len(out), len(want), logs(t))
		}
		n := newPort()
		started(t, e, spec{id: id + "-web", hostNet: true, user: "33:33", env: []string{port(n)}, asks: map[string]string{"variants": "2", "inject": "preload", "group": id}})
		fetch(t, n)
		compared(t, id, 30)
		e.stop(t, id+"-web", 10*time.Second)
		if code := e.wait(t, id+"-web"); code != 0 {
			t.Errorf("stopped with %d\n%s", code, logs(t))
		}
		r := e.start(t, spec{id: id, args: []string{"/bin/busybox", "true"}, asks: asks})
		e.remove(t, id)
		if r.Status == 0 || !strings.Contains(string(r.Stderr), "statically linked") {
			t.Errorf("a static program: %s", r)
		}
	})
}
