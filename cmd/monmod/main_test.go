package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/supervisor"
)

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.yaml", "leader: 1\nvariants: [{id: 1}, {id: 2}]\n")
	wrong := file("wrong.yaml", "leader: 9\nvariants: [{id: 1}, {id: 2}]\n")
	far := file("far.yaml", "leader: 1\nvariants: [{id: 1, address: 127.0.0.1, port: 7}, {id: 2, address: 127.0.0.1, port: 8}]\n")
	bundle := filepath.Join(dir, "bundle")
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	file("bundle/config.json", `{"process": {"args": ["/no/such/program"]}, "root": {"path": "rootfs"}}`)
	for _, c := range []struct {
		args string
		code int
		want string // in standard output
	}{
		{"", supervisor.ExitUsage, ""},
		{"nonsense", supervisor.ExitUsage, ""},
		{"run", supervisor.ExitUsage, ""},
		{"run -- true", supervisor.ExitUsage, ""},
		{"run --variants 2", supervisor.ExitUsage, ""},
		{"run --variants 1 -- true", supervisor.ExitUsage, ""},
		{"run --variants many -- true", supervisor.ExitUsage, ""},
		{"run --id 1 -- true", supervisor.ExitUsage, ""},
		{"run --id 1 --variants 2 --config " + good + " -- true", supervisor.ExitUsage, ""},
		{"run --variants 3 --config " + good + " -- true", supervisor.ExitUsage, ""},
		{"run --config " + far + " -- true", supervisor.ExitUsage, ""},
		{"run --id 7 --config " + good + " -- true", supervisor.ExitConfig, ""},
		{"run --variants 2 --policy none -- true", supervisor.ExitConfig, ""},
		{"run --variants 2 --policy commit -- true", supervisor.ExitConfig, ""},
		{"run --variants 2 --backend kmod -- true", supervisor.ExitConfig, ""},
		{"run --config " + wrong + " -- true", supervisor.ExitConfig, ""},
		{"run --variants 2 -- /no/such/program", 127, ""},
		{"run --variants 2 -- " + dir, 126, ""},
		{"supervise", supervisor.ExitUsage, ""},
		{"check", supervisor.ExitUsage, ""},
		{"check --bundle " + bundle, failed, "certainly not"},
		{"check --bundle " + bundle + " " + good, supervisor.ExitUsage, ""},
		{"check --bundle " + dir + "/none", failed, ""},
		{"check --image " + dir, failed, ""},
		{"check " + wrong, supervisor.ExitConfig, ""},
		{"check " + good, 0, "policy           full"},
		{"keygen", supervisor.ExitUsage, ""},
		{"keygen --config " + far + " --out " + filepath.Join(dir, "keys"), 0, "2.key"},
		{"keygen --config " + far + " --out " + filepath.Join(dir, "keys"), supervisor.ExitConfig, ""},
		{"report --logs " + dir, failed, ""},
		{"report --last x", supervisor.ExitUsage, ""},
		{"events --logs " + dir, 0, ""},
		{"ps --json", 0, "["},
		{"ps more", supervisor.ExitUsage, ""},
		{"version", 0, supervisor.Version},
	} {
		var out bytes.Buffer
		root := newRoot()
		root.SetArgs(strings.Fields(c.args))
		root.SetOut(&out)
		if code := execute(root); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("monmod %s: exit code %d, want %d; output %q, want %q", c.args, code, c.code, out.String(), c.want)
		}
	}
}
