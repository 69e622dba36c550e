package runtime

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

var update = flag.Bool("update", false, "write what is got as what is wanted")

// prepareGolden fills a plan as create does, with fixed tokens and folders.
func prepareGolden(b *Bundle) (*control.Plan, request, error) {
	r, err := readRequest(b.Spec.Annotations, b.Spec.Process.Env)
	if err != nil {
		return nil, nil, err
	}
	p := &control.Plan{Container: "abc", Library: "/usr/lib/monmod/libmonmod.so", Token: strings.Repeat("1", 64), Dev: "/run/monmod/containers/abc/dev"}
	p.Variant = 1
	return p, r, r.fill(p, &config.Operator{Exec: config.ExecAllow, Inject: config.InjectAny})
}

func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*/in.json")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, in := range cases {
		dir := filepath.Dir(in)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			b := mustRead(t, in)
			b.Dir = "/bundle"
			if err := checkSpec(b); err != nil {
				t.Fatal(err)
			}
			p, r, err := prepareGolden(b)
			if err != nil {
				t.Fatal(err)
			}
			hooks := &hookLine{self: "/usr/bin/monmod-runtime", container: "abc", plan: "0123456789abcdef", prestart: filepath.Base(dir) == "prestart"}
			leader, err := monitored(p, b, r, hooks)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "want.json"), leader)
			follower, err := derive(b, followerInjection(p), ".2")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "follower.json"), follower)
			rewriteAgain(t, p, leader, hooks)
			if again, err := derive(mustParse(t, leader), followerInjection(p), ".2"); err != nil {
				t.Fatal(err)
			} else if got, want := pretty(t, again), pretty(t, follower); !sameFollower(got, want) {
				t.Errorf("a follower of the rewritten bundle differs:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// sameFollower compares without the bundle's folder, which parsed bytes lack.
func sameFollower(got, want string) bool {
	return strings.ReplaceAll(got, `"/bundle/`, `"`) == strings.ReplaceAll(want, `"/bundle/`, `"`)
}

func followerInjection(p *control.Plan) *injection {
	return &injection{way: p.Inject, library: p.Library, dev: p.Dev + "2", token: strings.Repeat("2", 64), variant: 2}
}

// rewriteAgain: an engine that starts the same bundle again gets the same.
func rewriteAgain(t *testing.T, p *control.Plan, leader object, hooks *hookLine) {
	t.Helper()
	b := mustParse(t, leader)
	if err := checkSpec(b); err != nil {
		t.Errorf("the rewritten specification is refused: %v", err)
	}
	second, r, err := prepareGolden(b)
	if err != nil {
		t.Fatal(err)
	}
	if second.Mode != p.Mode || second.Variants != p.Variants || second.Inject != p.Inject || second.Exec != p.Exec {
		t.Errorf("asks for %+v the second time, for %+v the first", second, p)
	}
	again, err := monitored(second, b, r, hooks)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := pretty(t, again), pretty(t, leader); got != want {
		t.Errorf("rewritten twice:\n%s\nwant\n%s", got, want)
	}
}

func mustRead(t *testing.T, path string) *Bundle {
	t.Helper()
	b, err := ReadBundle(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t *testing.T, raw object) *Bundle {
	t.Helper()
	data, err := encode(raw)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pretty(t *testing.T, raw object) string {
	t.Helper()
	data, err := encode(raw)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

func golden(t *testing.T, path string, raw object) {
	t.Helper()
	got := pretty(t, raw)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s", path, got)
	}
}

func TestStoreKeepsModeAndOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"a": 1}`), 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	new, err := encode(object{"b": json.RawMessage(`"<&>"`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := store(path, new); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != `{"b":"<&>"}` {
		t.Errorf("holds %q, %v", data, err)
	}
	after, err := os.Stat(path)
	if err != nil || after.Mode() != before.Mode() || !sameOwner(before, after) {
		t.Errorf("mode %v, want %v (%v)", after.Mode(), before.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".config.json-*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func sameOwner(a, b os.FileInfo) bool {
	owner := func(i os.FileInfo) [2]uint64 {
		v := reflect.Indirect(reflect.ValueOf(i.Sys()))
		return [2]uint64{v.FieldByName("Uid").Uint(), v.FieldByName("Gid").Uint()}
	}
	return owner(a) == owner(b)
}

// FuzzConfigJSON: whatever a config.json holds, it is refused or becomes a
// specification in which the program is behind the library, exactly once.
func FuzzConfigJSON(f *testing.F) {
	cases, err := filepath.Glob("testdata/*/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range cases {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"process":{"args":["a"],"env":["MONMOD_VARIANTS=2"]},"linux":{"namespaces":[{"type":"mount"}]},"mounts":[{"destination":"/dev","type":"tmpfs"},null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseBundle(data)
		if err != nil || checkSpec(b) != nil {
			return
		}
		p, r, err := prepareGolden(b)
		if err != nil || r == nil || p.Inject != control.InjectLaunch {
			return
		}
		leader, err := monitored(p, b, r, &hookLine{self: "/m", container: "abc"})
		if err != nil {
			return
		}
		got := mustParse(t, leader)
		args := got.Spec.Process.Args
		if len(args) < 7 || args[0] != guestLibrary || !reflect.DeepEqual(stripWords(args), args[6:]) {
			t.Fatalf("the program is started as %q", args)
		}
		for _, e := range got.Spec.Process.Env {
			if strings.HasPrefix(e, variablePrefix) {
				t.Fatalf("the program gets %q", e)
			}
		}
		rewriteAgain(t, p, leader, &hookLine{self: "/m", container: "abc"})
		if follower, err := derive(b, followerInjection(p), ".2"); err == nil {
			fs := mustParse(t, follower).Spec
			if fs.Hooks != nil || !fs.Root.Readonly || fs.Process.Terminal {
				t.Fatalf("a follower with hooks %v, root %v, terminal %v", fs.Hooks, fs.Root, fs.Process.Terminal)
			}
			for _, n := range fs.Linux.Namespaces {
				if n.Path != "" {
					t.Fatalf("a follower joins %v", n)
				}
			}
		}
	})
}
