package config

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/monmod/monmod/internal/keys"
)

const pair = "leader: 1\nvariants: [{id: 1}, {id: 2}]\n"

func parse(t *testing.T, name, text string) *Group {
	t.Helper()
	g, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestExamples(t *testing.T) {
	for name, policy := range map[string]Policy{"two-hosts.yaml": PolicyFull, "original.cfg": PolicySocketRW} {
		g, err := Load(filepath.Join("../../examples/groups", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if g.Policy != policy || g.Leader != 1 || !g.Networked() || len(g.Followers()) != 1 || g.Followers()[0].Address != "10.0.0.16" {
			t.Errorf("%s: got %+v", name, g)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long.yaml")
	if err := os.WriteFile(long, []byte(pair+strings.Repeat("#\n", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]error{filepath.Join(dir, "none.yaml"): ErrUnreadable, dir: ErrUnreadable, pipe: ErrUnreadable, long: ErrAbsurd} {
		_, err := Load(path)
		if !errors.Is(err, kind) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: got %v, want kind %q", path, err, kind)
		}
	}
}

// Two spellings of one group, in both forms, have one digest; every change of
// meaning has another one.
func TestDigest(t *testing.T) {
	spellings := map[string]string{
		"defaults": "group: g\nleader: 1\nvariants: [{id: 1, address: 10.0.0.1, port: 7772}, {id: 2, address: '::1'}]\n",
		"written out": `
variants:
  - {id: 2, port: 7772, address: "0:0::1"}   # the other way round
  - {id: 1, address: "::ffff:10.0.0.1"}
leader: 1
"group": g
policy: full
lag: 10000ms
keys: /elsewhere
logs: /tmp/logs
rules: []
`,
		"libconfig": `group = "g"; leader_id = 0x1; replication_batch_size = 10;
variants = ( { id = 1; address = "10.0.0.1"; }, { id = 2; address = "::1"; } );`,
	}
	first := parse(t, "x.yaml", spellings["defaults"]).Digest()
	for name, text := range spellings {
		if parse(t, name, text).Digest() != first {
			t.Errorf("%s: another digest for the same meaning", name)
		}
	}

	rule := "rules: [{path: /a, data: own}]\n"
	base := "group: g\n" + pair
	changes := []string{
		base,
		"group: h\n" + pair,
		"group: g\nleader: 2\nvariants: [{id: 1}, {id: 2}]\n",
		"group: g\nleader: 1\nvariants: [{id: 1}, {id: 2}, {id: 3}]\n",
		"group: g\nleader: 1\nvariants: [{id: 1}, {id: 2, address: a}]\n",
		"group: g\nleader: 1\nvariants: [{id: 1}, {id: 2, address: a, port: 1}]\n",
		base + "policy: base\n", base + "backend: sud\n", base + "fs: own\n", base + "on_divergence: audit\n",
		base + "program: differs\n", base + "lag: 11s\n", base + "lag_wall: 11m\n", base + "peer_timeout: 4s\n",
		base + "start_timeout: 61s\n", base + "keys: none\n", base + rule, base + "rules: [{path: /b, data: own}]\n",
		base + "rules: [{path: /a, data: own}, {path: /b, data: own}]\n", base + "rules: [{path: /b, data: own}, {path: /a, data: own}]\n",
	}
	digests := map[[32]byte]string{}
	for _, text := range changes {
		d := parse(t, "x.yaml", text).Digest()
		if other, taken := digests[d]; taken {
			t.Errorf("one digest for\n%s\nand\n%s", other, text)
		}
		digests[d] = text
	}
}

// Every key of the group file is either part of the meaning or named here as
// each host's own.
func TestMeaningIsComplete(t *testing.T) {
	ownOf := []string{"logs"}
	var meant []string
	for _, s := range parse(t, "x.yaml", pair).Meaning() {
		meant = append(meant, s.Key)
	}
	for _, k := range groupKeys {
		if want := !k.a8 && !slices.Contains(ownOf, k.name); slices.Contains(meant, k.name) != want {
			t.Errorf("%s: in the meaning %v, want %v", k.name, !want, want)
		}
	}
}

func TestDifferences(t *testing.T) {
	here := parse(t, "x.yaml", pair+"policy: base\n").Meaning()
	there := parse(t, "y.yaml", pair).Meaning()
	want := []string{`group: x here, "y" there`, `policy: base here, "full" there`}
	if got := Differences(here, there); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Differences(here, here); got != nil {
		t.Errorf("a group differs from itself: %q", got)
	}
	hostile := []Setting{{"\x1b[2J", strings.Repeat("x", 1<<16)}}
	for _, line := range Differences(here[:1], hostile) {
		if len(line) > 400 || strings.Contains(line, "\x1b") {
			t.Errorf("a peer's text reaches the terminal: %d bytes", len(line))
		}
	}
}

func TestLocal(t *testing.T) {
	for n := -1; n <= MaxVariants+1; n++ {
		g, err := Local(n)
		if valid := n >= MinVariants && n <= MaxVariants; valid != (err == nil) {
			t.Fatalf("Local(%d): %v", n, err)
		} else if !valid {
			if !errors.Is(err, ErrAbsurd) {
				t.Errorf("Local(%d): %v", n, err)
			}
			continue
		}
		if len(g.Variants) != n || g.Leader != 1 || len(g.Followers()) != n-1 || g.Policy != PolicyFull || g.Networked() {
			t.Errorf("Local(%d): %+v", n, g)
		}
		if err := g.CheckKeys(n); err != nil {
			t.Errorf("Local(%d) wants keys: %v", n, err)
		}
	}
	// A local group is what a file that says the same is.
	two, err := Local(2)
	if err != nil {
		t.Fatal(err)
	}
	if file := parse(t, "local.yaml", pair); file.Digest() != two.Digest() {
		t.Errorf("Local(2) differs from a file: %q", Differences(two.Meaning(), file.Meaning()))
	}
}

func TestVariant(t *testing.T) {
	g := parse(t, "web.yaml", "leader: 7\nvariants: [{id: 9}, {id: 7}, {id: 3}]\n")
	if v, err := g.Variant(9); err != nil || v.ID != 9 {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := g.Variant(1); !errors.Is(err, ErrNotMember) || !strings.Contains(err.Error(), "3, 7, 9") {
		t.Errorf("got %v", err)
	}
	if f := g.Followers(); len(f) != 2 || f[0].ID != 3 || f[1].ID != 9 {
		t.Errorf("followers are %+v", f)
	}
}

func TestSet(t *testing.T) {
	for _, c := range []struct {
		key, value string
		want       error
		read       func(*Group) any
		now        any
	}{
		{"policy", "socket_rw", nil, func(g *Group) any { return g.Policy }, PolicySocketRW},
		{"group", "other", nil, func(g *Group) any { return g.Keys }, "/etc/monmod/keys/other"},
		{"leader", "2", nil, func(g *Group) any { return g.Leader }, 2},
		{"leader", "5", ErrLeaderNotVariant, func(g *Group) any { return g.Leader }, 1},
		{"leader", "two", ErrWrongType, func(g *Group) any { return g.Leader }, 1},
		{"policy", "", ErrBadValue, func(g *Group) any { return g.Policy }, PolicyFull},
		{"lag", "20m", ErrAbsurd, func(g *Group) any { return spell(g.Lag) }, "10s"},
		{"group", "../x", ErrBadValue, func(g *Group) any { return g.Name }, "web"},
		{"variants", "3", ErrUnknownKey, func(g *Group) any { return len(g.Variants) }, 2},
		{"restore_probability", "0", ErrUnknownKey, func(g *Group) any { return len(g.Notes) }, 0},
	} {
		g := parse(t, "web.yaml", pair)
		err := g.Set(c.key, c.value, "annotation io.monmod."+c.key)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s=%q: got %v, want %v", c.key, c.value, err, c.want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "annotation io.monmod."+c.key+": ") {
			t.Errorf("%s=%q: %v does not say where it was set", c.key, c.value, err)
		}
		if got := c.read(g); got != c.now {
			t.Errorf("%s=%q: now %v, want %v", c.key, c.value, got, c.now)
		}
	}
}

// TestLogsOfAUser: reports go to a folder that is the user's own, or nowhere, never to one that another user could have made.
func TestLogsOfAUser(t *testing.T) {
	const daemon, nobodyAtAll = 1, 4_000_000_001
	u, err := user.LookupId(strconv.Itoa(daemon))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uid         int
		state, home string
		want        string
	}{
		{0, "/s", "/h", "/var/log/monmod/g"},
		{daemon, "/s", "/h", "/s/monmod/g"},
		{daemon, "s", "/h", "/h/.local/state/monmod/g"},
		{daemon, "", "", u.HomeDir + "/.local/state/monmod/g"},
		{daemon, "", "h", u.HomeDir + "/.local/state/monmod/g"},
		{nobodyAtAll, "", "/h", "/h/.local/state/monmod/g"},
		{nobodyAtAll, "", "", ""},
	} {
		t.Setenv("XDG_STATE_HOME", c.state)
		t.Setenv("HOME", c.home)
		if got := logsOf(c.uid, "g"); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	g := parse(t, "g.yaml", "leader: 1\nvariants: [{id: 1}, {id: 2}]\n")
	if g.Logs = ""; !errors.Is(g.CheckLogs(), ErrMissingKey) {
		t.Errorf("without a folder: %v", g.CheckLogs())
	}
	if g.Logs = "/l"; g.CheckLogs() != nil {
		t.Errorf("with a folder: %v", g.CheckLogs())
	}
}

func TestCheckKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	text := "group: web\nleader: 1\nvariants: [{id: 1, address: 127.0.0.1}, {id: 2, address: '::1'}]\nkeys: "
	g := parse(t, "x.yaml", text+dir+"\n")
	if err := g.CheckKeys(1); !errors.Is(err, ErrKeys) || !strings.Contains(err.Error(), "monmod keygen") {
		t.Errorf("without keys: got %v", err)
	}
	if _, err := keys.Generate(g.Name, g.Members(), dir); err != nil {
		t.Fatal(err)
	}
	for id, kind := range map[int]error{1: nil, 2: nil, 3: ErrNotMember} {
		if err := g.CheckKeys(id); !errors.Is(err, kind) {
			t.Errorf("variant %d: got %v, want %v", id, err, kind)
		}
	}
	if err := os.Chmod(filepath.Join(dir, keys.KeyFile(1)), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := g.CheckKeys(1); !errors.Is(err, ErrKeys) || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "monmod keygen") {
		t.Errorf("a key that others can read has a remedy of its own: got %v", err)
	}
	for _, none := range []*Group{parse(t, "x.yaml", text+"none\n"),
		parse(t, "x.cfg", `leader_id = 1; keys = "none"; variants = ({id=1; address="10.0.0.1"}, {id=2; address="10.0.0.2"})`)} {
		if err := none.CheckKeys(2); err != nil {
			t.Errorf("keys: none: got %v", err)
		}
	}
}
