package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/monmod/monmod/internal/report"
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
		{"run --variants 2 --policy none -- true", supervisor.ExitUsage, ""},
		{"run --variants 2 --policy commit -- true", supervisor.ExitConfig, ""},
		{"run --variants 2 --backend none -- true", supervisor.ExitUsage, ""},
		{"supervise --id 1 --config " + good + " --policy none", supervisor.ExitUsage, ""},
		{"run --config " + file("policy.yaml", "leader: 1\nvariants: [{id: 1}, {id: 2}]\npolicy: none\n") + " -- true", supervisor.ExitConfig, ""},
		{"help", 0, "keygen"},
		{"help keygen", 0, "--out"},
		{"help kmod status", 0, "--json"},
		{"completion bash", 0, "complete"},
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
		{"keygen --config " + far + " --out " + filepath.Join(dir, "keys"), failed, ""},
		{"keygen --config " + wrong + " --out " + filepath.Join(dir, "more"), supervisor.ExitConfig, ""},
		{"keygen --config " + far + " --out " + far + "/keys", failed, ""},
		{"report --logs " + dir, failed, ""},
		{"report --last x", supervisor.ExitUsage, ""},
		{"events --logs " + dir, 0, ""},
		{"ps --json", 0, "["},
		{"ps more", supervisor.ExitUsage, ""},
		{"version", 0, supervisor.Version},
	} {
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		if code := execute(root, strings.Fields(c.args)); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("monmod %s: exit code %d, want %d; output %q, want %q", c.args, code, c.code, out.String(), c.want)
		}
	}
}

// monmod runs a command line and gives its exit code and what it wrote.
func monmod(args ...string) (code int, stdout, stderr string) {
	var out, msg bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&msg)
	code = execute(root, args)
	return code, out.String(), msg.String()
}

// TestCheckSaysAKeyOnce: what a group file means, each key once, and its keys by their folder.
func TestCheckSaysAKeyOnce(t *testing.T) {
	group := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(group, []byte("leader: 1\nvariants: [{id: 1, address: 10.0.0.1}, {id: 2, address: 10.0.0.2}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := monmod("check", group)
	seen := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		key, _, _ := strings.Cut(line, " ")
		if seen[key]++; seen[key] > 1 {
			t.Errorf("%s stands there again:\n%s", key, out)
		}
	}
	if !strings.Contains(out, `{id="1" address="10.0.0.1" port="7772"} {id="2" address="10.0.0.2" port="7772"}`) {
		t.Errorf("the variants with their addresses are not shown:\n%s", out)
	}
	if code != 0 || len(seen) < 15 || !strings.Contains(out, "\nkeys             /etc/monmod/keys/web\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestCheckLeavesOutWhatIsNotSaid: elements of lists show what they say, and no empty values.
func TestCheckLeavesOutWhatIsNotSaid(t *testing.T) {
	group := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(group, []byte("leader: 1\nvariants: [{id: 1}, {id: 2}]\nrules: [{path: /b, data: own}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := monmod("check", group)
	for _, want := range []string{"\nvariants         {id=\"1\"} {id=\"2\"}\n", "\nrules            {call=\"*\" path=\"/b\" data=\"own\"}\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not show %q:\n%s", want, out)
		}
	}
	if code != 0 || strings.Contains(out, `""`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestEventsSayWhatIsNotThere: a folder that is not there and lines that are no events are told, and what is good is shown.
func TestEventsSayWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	const event = `{"time":"2024-01-01T00:00:00Z","kind":"started","text":"t","group":"web","supervisor":3}` + "\n"
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := file("bad/web/events.jsonl", "garbage\n"+event+"{}\n[1]\nunfinished")
	file("good/web/events.jsonl", event)
	file("good/no-folder", "")
	if err := os.Mkdir(filepath.Join(dir, "good/empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		logs string
		code int
		out  string
		msgs []string
	}{
		{filepath.Join(dir, "none"), failed, "", []string{filepath.Join(dir, "none"), "no such file or directory", "`logs`"}},
		{bad, failed, "", []string{bad, "not a directory"}},
		{filepath.Join(dir, "bad"), failed, "web[3]", []string{bad + ":1:", bad + ":3:", bad + ":4:", bad + ":5:"}},
		{filepath.Join(dir, "good"), 0, "web[3]", nil},
		{filepath.Join(dir, "good/empty"), 0, "", nil},
	} {
		code, out, msg := monmod("events", "--logs", c.logs)
		if code != c.code || strings.Count(out, "\n") != len(c.out)/len("web[3]") || !strings.HasPrefix(out, c.out) {
			t.Errorf("%s: exit code %d, want %d; output %q, want one line of %q", c.logs, code, c.code, out, c.out)
		}
		for _, want := range c.msgs {
			if !strings.Contains(msg, want) {
				t.Errorf("%s: %q does not say %q", c.logs, msg, want)
			}
		}
		if len(c.msgs) == 0 && msg != "" || strings.Contains(msg, ":2:") {
			t.Errorf("%s: %q", c.logs, msg)
		}
	}
}

// TestDoctorFailsWhereNothingRuns: it succeeds only where all is there that a group needs.
func TestDoctorFailsWhereNothingRuns(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(filepath.Dir(self), "libmonmod.so")
	code, out, msg := monmod("doctor")
	if code != supervisor.ExitConfig || !strings.Contains(msg, "it lacks libmonmod.so:") || !strings.Contains(out, "no   libmonmod.so") {
		t.Errorf("without the library: exit code %d, %q, %q", code, out, msg)
	}
	whole, err := os.ReadFile("/bin/true") // as good a shared object as another, to who only looks at it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(library) })
	for _, part := range [][]byte{nil, whole[:len(whole)/2]} {
		if err := os.WriteFile(library, part, 0o755); err != nil {
			t.Fatal(err)
		}
		code, out, msg := monmod("doctor")
		if code != supervisor.ExitConfig || !strings.Contains(msg, "it lacks libmonmod.so:") || !strings.Contains(out, "damaged") {
			t.Errorf("with %d bytes of the library: exit code %d, %q, %q", len(part), code, out, msg)
		}
		code, _, msg = monmod("run", "--variants", "2", "--logs", t.TempDir(), "--", "true")
		if code != supervisor.ExitConfig || !strings.Contains(msg, library+": it is damaged") || !strings.Contains(msg, "install it again") {
			t.Errorf("run with %d bytes of the library: exit code %d, %q", len(part), code, msg)
		}
	}
	if err := os.WriteFile(library, whole, 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out, msg := monmod("doctor"); code != 0 || msg != "" {
		t.Errorf("with all that it takes: exit code %d, %q, %q", code, out, msg)
	}
}

// TestPrintingFails: what cannot be printed is no success, of whatever command.
func TestPrintingFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	dir := t.TempDir()
	group, bundle, events := filepath.Join(dir, "g.yaml"), filepath.Join(dir, "bundle"), filepath.Join(dir, supervisor.EventFile)
	for path, text := range map[string]string{
		group:                                 "leader: 1\nvariants: [{id: 1, address: 127.0.0.1, port: 7}, {id: 2, address: 127.0.0.1, port: 8}]\n",
		filepath.Join(bundle, "config.json"):  `{"process": {"args": ["/no/such/program"]}, "root": {"path": "rootfs"}}`,
		filepath.Join(bundle, "rootfs/empty"): "",
		events:                                `{"kind":"started"}` + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shown, err := report.Write(dir, &report.Report{Schema: report.Schema, Time: time.Now(), Group: "web", Reason: report.Late, Response: report.GroupEnded,
		Effect: report.EffectUnknown, Variant: 2, Leader: report.Side{Variant: 1}, Other: report.Side{Variant: 2}})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"--version", "--help", "version", "completion bash", "help run", "run --help", "ps", "ps --json", "check " + group,
		"check --bundle " + bundle, "events --logs " + dir, "events --json --logs " + dir, "report " + shown, "report --json " + shown,
		"keygen --config " + group + " --out " + filepath.Join(dir, "keys")} {
		var msg bytes.Buffer
		root := newRoot()
		root.SetOut(full)
		root.SetErr(&msg)
		code := execute(root, strings.Fields(args))
		if code != failed || strings.Count(msg.String(), "no space left") != 1 || strings.Count(msg.String(), "\n") != 1 {
			t.Errorf("monmod %s: exit code %d, %q", args, code, msg.String())
		}
	}
}

// TestMessagesAreJSON: with --json every line of monmod's own is JSON, also what it fails with.
func TestMessagesAreJSON(t *testing.T) {
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes.cfg")
	text := "leader_id = 1; replication_batch_size = 8; logs = \"" + dir + "\"; variants = ( { id = 1; }, { id = 2; } );\n"
	if err := os.WriteFile(notes, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  string
		code  int
		lines int
	}{
		{"run --json --variants 2 -- /no/such/program", 127, 1},
		{"run --json --config " + notes + " -- /no/such/program", 127, 2},
		{"run --json --variants many -- true", supervisor.ExitUsage, 1},
		{"run --variants many --json -- true", supervisor.ExitUsage, 1},
		{"run --json -- true", supervisor.ExitUsage, 1},
		{"run --json --variants 2", supervisor.ExitUsage, 1},
		{"supervise --json --id 1 --config " + dir + "/none", supervisor.ExitConfig, 1},
	} {
		code, out, msg := monmod(strings.Fields(c.args)...)
		lines := strings.SplitAfter(msg, "\n")
		if code != c.code || out != "" || len(lines) != c.lines+1 {
			t.Errorf("monmod %s: exit code %d, %q, %q", c.args, code, out, msg)
		}
		for _, line := range lines[:len(lines)-1] {
			var m struct{ Level, Msg string }
			if err := json.Unmarshal([]byte(line), &m); err != nil || m.Level == "" || m.Msg == "" {
				t.Errorf("monmod %s: %q is no message in JSON (%v)", c.args, line, err)
			}
		}
	}
	for _, args := range []string{"run --variants 2 /no/such/program --json", "run --variants many -- true --json", "ps --json more"} {
		if _, _, msg := monmod(strings.Fields(args)...); !strings.HasPrefix(msg, "monmod: ") {
			t.Errorf("monmod %s, which asks for no messages in JSON: %q", args, msg)
		}
	}
}

// TestNonsenseIsNoUsage: numbers out of range, values that are empty and flags that are given twice are refused in words.
func TestNonsenseIsNoUsage(t *testing.T) {
	group := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(group, []byte("leader: 1\nvariants: [{id: 1}, {id: 2}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []string {
		return append(append([]string{"run"}, args...), "--", "/no/such/program")
	}
	const (
		empty = "it is empty: give it a value"
		twice = "it was given before"
	)
	for _, c := range []struct {
		args []string
		want string
	}{
		{run("--variants", "x"), `"x" for "--variants" flag: write a whole number from 2 to 8`},
		{run("--variants", "0"), "from 2 to 8"},
		{run("--variants", "9"), "from 2 to 8"},
		{run("--variants", "99999999999999999999"), "from 2 to 8"},
		{run("--variants", "2", "--id", "0"), `"0" for "--id" flag: write a whole number from 1 to 65535`},
		{run("--config", group, "--id", "0"), "from 1 to 65535"},
		{run("--config", group, "--id", "-1"), "from 1 to 65535"},
		{[]string{"supervise", "--config", group, "--id", "0"}, "from 1 to 65535"},
		{run("--variants", "2", "--policy", ""), empty},
		{run("--variants", "2", "--backend="), empty},
		{run("--variants", "2", "--logs", ""), empty},
		{run("--variants", "2", "--config", ""), empty},
		{[]string{"events", "--logs", ""}, empty},
		{[]string{"report", "--logs="}, empty},
		{[]string{"check", "--bundle", ""}, empty},
		{run("--variants", "2", "--variants", "3"), twice},
		{run("--variants", "2", "--variants", "2"), twice},
		{run("--variants", "2", "--policy", "base", "--policy=full"), twice},
		{run("--variants", "2", "-v", "--verbose"), twice},
		{[]string{"ps", "--json", "--json=false"}, twice},
		{[]string{"kmod", "status", "--json", "--json"}, twice},
		{[]string{"ps", "--json=maybe"}, "write true or false"},
		{[]string{"report", ""}, "an argument is empty"},
		{[]string{"check", ""}, "an argument is empty"},
	} {
		code, out, msg := monmod(c.args...)
		if code != supervisor.ExitUsage || out != "" || !strings.Contains(msg, c.want) || strings.Contains(msg, "strconv") {
			t.Errorf("monmod %q: exit code %d, %q, %q, want %q", c.args, code, out, msg, c.want)
		}
	}
}

// TestUsageSaysWhatToDo: a command line that makes no sense gets 64, and where it says what would make sense.
func TestUsageSaysWhatToDo(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--x", "unknown flag: --x: `monmod --help` lists"},
		{"run --x", "unknown flag: --x: `monmod run --help` lists"},
		{"run -z", "'z' in -z: `monmod run --help` lists"},
		{"run --variants", "flag needs an argument: --variants: `monmod run --help` lists"},
		{"run --=3", "bad flag syntax: --=3: `monmod run --help` lists"},
		{"kmod status --x", "`monmod kmod status --help` lists"},
		{"nonsense", "monmod has no command \"nonsense\": `monmod --help` lists them"},
		{"rum", "did you mean `monmod run`? `monmod --help` lists them"},
		{"kmod reload", "did you mean `monmod kmod load` or `monmod kmod unload`? `monmod kmod --help`"},
		{"help nonsense", "has no command \"nonsense\": `monmod --help`"},
		{"help kmod nonsense", "has no command \"nonsense\": `monmod kmod --help`"},
		{"help ps nonsense", "`monmod ps --help`"},
		{"completion", "name a shell: `monmod completion --help`"},
		{"completion fisch", "did you mean `monmod completion fish`? `monmod completion --help`"},
		{"completion bash more", "monmod completion bash takes no arguments"},
		{"ps more", "monmod ps takes no arguments, and was given \"more\": leave it out, or see `monmod ps --help`"},
		{"check a b", "takes 1 argument at most, and was given 2: leave \"b\" out, or see `monmod check --help`"},
		{"run --variants 2 --policy none -- true", "option --policy: \"none\" is no policy: write one of full, base, nonsocket_ro"},
		{"run --variants 2 --policy soket_rw -- true", "did you mean \"socket_rw\"? It is one of full, base,"},
		{"run --variants 2 --backend none -- true", "option --backend: \"none\" is no backend: write one of auto, sud, kmod"},
	} {
		code, out, msg := monmod(strings.Fields(c.args)...)
		if code != supervisor.ExitUsage || out != "" || !strings.Contains(msg, c.want) || strings.Count(msg, "\n") != 1 {
			t.Errorf("monmod %s: exit code %d, %q, %q, want %q", c.args, code, out, msg, c.want)
		}
	}
}

// TestHelpNamesValuesByTheirKind: a backquoted word in a flag's words would be shown as its value's name.
func TestHelpNamesValuesByTheirKind(t *testing.T) {
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); name == f.Name || strings.Contains(f.Usage, "`") {
				t.Errorf("%s --help shows --%s %s", cmd.CommandPath(), f.Name, name)
			}
		})
		for _, below := range cmd.Commands() {
			look(below)
		}
	}
	look(newRoot())
}

// TestMessagesLeaveTheTerminalAlone: names of programs, files and flags come from anywhere, and are printed so that they do nothing.
func TestMessagesLeaveTheTerminalAlone(t *testing.T) {
	const evil, shown = "\x1b[31m\nmonmod: all is well\r", `\x1b[31m`
	dir := t.TempDir()
	script := filepath.Join(dir, evil)
	if err := os.WriteFile(script, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "bundle")
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(map[string]any{"process": map[string]any{"args": []string{"/" + evil}}, "root": map[string]any{"path": "rootfs"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), spec, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs", evil), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "logs", evil, supervisor.EventFile), []byte("garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{evil}, {"--" + evil}, {"-" + evil}, {"ps", evil}, {"report", evil}, {"report", "a", evil}, {"check", evil}, {"check", "--bundle", evil},
		{"check", "--image", evil}, {"check", "--bundle", bundle}, {"events", "--logs", evil}, {"events", "--logs", filepath.Join(dir, "logs")},
		{"kmod", "load", evil}, {"run", "--variants", evil, "--", "true"}, {"run", "--config", evil, "--", "true"},
		{"run", "--variants", "2", "--policy", evil, "--", "true"}, {"run", "--variants", "2", "--", evil}, {"run", "--variants", "2", "--", "/" + evil},
		{"run", "--variants", "2", "--", script}, {"run", "--variants", "2", "--", dir + "/" + evil + "/"},
	} {
		_, out, msg := monmod(args...)
		text := out + msg
		if !strings.Contains(text, shown) || strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "\nmonmod: all") {
			t.Errorf("monmod %q: %q", args, text)
		}
	}
}
