package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

const groupText = `
leader: 1
variants:
  - {id: 1, address: 10.0.0.1}
  - {id: 2, address: 10.0.0.2}
policy: base
`

// fillFrom reads a request and loads its group, as create does.
func fillFrom(annotations map[string]string, env []string, operator *config.Operator) (*control.Plan, *config.Group, error) {
	r, err := readRequest(annotations, env)
	if err != nil {
		return nil, nil, err
	}
	p := &control.Plan{Container: "abc"}
	if err := r.fill(p, operator); err != nil {
		return nil, nil, err
	}
	g, err := p.LoadGroup(operator)
	return p, g, err
}

func operatorOf(t *testing.T, text string) *config.Operator {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runtime.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := config.LoadOperator(path)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte(groupText), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(filepath.Dir(file), "link.yaml")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		annotations string // key=value, spaces between
		env         string
		operator    string
		want        string // mode variants/variant file policy inject exec group
	}{
		{name: "variants", annotations: "variants=2", want: "variants 2/0 - full launch allow abc"},
		{name: "variable", env: "MONMOD_VARIANTS=3 MONMOD_POLICY=socket_rw MONMOD_INJECT=preload", operator: "inject: any", want: "variants 3/0 - socket_rw preload allow abc"},
		{name: "one", annotations: "id=2 config=" + file, want: "one 0/2 web.yaml base launch allow web"},
		{name: "annotation over file", annotations: "id=2 policy=full config=" + link, want: "one 0/2 web.yaml full launch allow web"},
		{name: "annotation over variable", annotations: "variants=2 policy=full", env: "MONMOD_POLICY=base MONMOD_VARIANTS=5 MONMOD_ID=7", want: "variants 2/0 - full launch allow abc"},
		{name: "ID over variable", annotations: "id=1 config=" + file, env: "MONMOD_VARIANTS=5", want: "one 0/1 web.yaml base launch allow web"},
		{name: "group's name", annotations: "variants=2 group=shop", want: "variants 2/0 - full launch allow shop"},
		{name: "exec", annotations: "variants=2 exec=deny", want: "variants 2/0 - full launch deny abc"},
		{name: "operator denies exec", annotations: "variants=2", operator: "exec: deny", want: "variants 2/0 - full launch deny abc"},
		{name: "preload", annotations: "variants=2 inject=preload", want: "variants 2/0 - full preload allow abc"},
		{name: "launch over an image's preload", annotations: "variants=2 inject=launch", env: "MONMOD_INJECT=preload", want: "variants 2/0 - full launch allow abc"},
		{name: "the last variable counts", env: "MONMOD_VARIANTS=3 MONMOD_VARIANTS=2", want: "variants 2/0 - full launch allow abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, g, err := fillFrom(annotationsOf(c.annotations), strings.Fields(c.env), operatorOf(t, c.operator))
			if err != nil {
				t.Fatal(err)
			}
			base := "-"
			if p.GroupFile != "" {
				base = filepath.Base(p.GroupFile)
			}
			got := strings.Join([]string{p.Mode, itoa(p.Variants) + "/" + itoa(p.Variant), base, string(g.Policy), p.Inject, p.Exec, g.Name}, " ")
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRequestRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "web.yaml")
	open := filepath.Join(dir, "open.yaml")
	for path, mode := range map[string]os.FileMode{file: 0o600, open: 0o666} {
		if err := os.WriteFile(path, []byte(groupText), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, annotations, env, operator string
		podman                           bool
		want                             string
	}{
		{name: "unknown annotation", annotations: "variant=2", want: "unknown annotation io.monmod.variant"},
		{name: "escapes in a name", env: "MONMOD_\x1b[31mX=1", want: `unknown variable MONMOD_\x1b[31mX: the keys are`},
		{name: "unknown variable", env: "MONMOD_VARIANT=2", want: "unknown variable MONMOD_VARIANT: the keys are"},
		{name: "small letters", env: "MONMOD_variants=2", want: "write it in capitals"},
		{name: "empty", env: "MONMOD_VARIANTS=", want: "variable MONMOD_VARIANTS is empty"},
		{name: "too many", annotations: "variants=9", want: "from 2 to 8"},
		{name: "one alone", annotations: "variants=1", want: "from 2 to 8"},
		{name: "no number", annotations: "variants=two", want: `annotation io.monmod.variants "two": write a whole number`},
		{name: "both", annotations: "variants=2 id=1", want: "exclude each other"},
		{name: "ID alone", annotations: "id=1", want: "without a group file"},
		{name: "policy alone", annotations: "policy=full", want: "say how many variants"},
		{name: "unknown policy", annotations: "variants=2 policy=none", want: "annotation io.monmod.policy"},
		{name: "later policy", annotations: "variants=2 policy=commit", want: "commit is not in this version"},
		{name: "injection", annotations: "variants=2 inject=ptrace", want: "write one of launch, preload"},
		{name: "relative file", annotations: "id=1 config=web.yaml", want: "absolute path"},
		{name: "no file", annotations: "id=1 config=" + dir + "/none", want: "cannot be read"},
		{name: "anyone's file", annotations: "id=1 config=" + open, want: "writable by others"},
		{name: "file from a variable", env: "MONMOD_ID=1 MONMOD_CONFIG=" + file, want: "lies outside /etc/monmod"},
		{name: "not a member", annotations: "id=3 config=" + file, want: "no variant 3"},
		{name: "addresses in one container", annotations: "variants=2 config=" + file, want: "has an address"},
		{name: "other count", annotations: "variants=3 config=" + file, want: "has 2 variants, the container asks for 3"},
		{name: "control character", annotations: "variants=2 group=a\x01b", want: "control character"},
		{name: "too long", env: "MONMOD_VARIANTS=" + strings.Repeat("1", 5000), want: "5000 bytes"},
		{name: "weaker policy", env: "MONMOD_VARIANTS=2 MONMOD_POLICY=socket_rw", operator: "policy: base", want: "no weaker than base"},
		{name: "weaker exec", annotations: "variants=2 exec=allow", operator: "exec: deny", want: "no weaker than deny"},
		{name: "preload of an image", annotations: "variants=2", env: "MONMOD_INJECT=preload", want: "variable MONMOD_INJECT asks for preload, which is weaker than launch, and may have come with the image"},
		{name: "preload of an image under podman", annotations: "variants=2 inject=preload", podman: true, want: "annotation io.monmod.inject asks for preload"},
		{name: "weaker injection", annotations: "variants=2 inject=preload", operator: "inject: launch", want: "no weaker than launch"},
		{name: "file weaker than the operator", annotations: "id=1 config=" + file, operator: "policy: full", want: "no weaker than full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			annotations := annotationsOf(c.annotations)
			if c.podman {
				annotations[manager] = podman
			}
			_, _, err := fillFrom(annotations, strings.Fields(c.env), operatorOf(t, c.operator))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestNoRequest(t *testing.T) {
	for _, env := range [][]string{nil, {"PATH=/bin", "XMONMOD_ID=1", "MONMOD=1"}, {"MONMOD_TOKEN=x"}} {
		if r, err := readRequest(map[string]string{"io.monmodx": "1", "org.x": "2"}, env); r != nil || err != nil {
			t.Errorf("%q asks for %v, %v", env, r, err)
		}
	}
}

func annotationsOf(s string) map[string]string {
	m := map[string]string{}
	for _, word := range strings.Fields(s) {
		key, value, _ := strings.Cut(word, "=")
		m[AnnotationPrefix+key] = value
	}
	return m
}

func itoa(n int) string { return string(rune('0' + n)) }
