package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

func TestTableOfDescriptors(t *testing.T) {
	for _, c := range []struct {
		name      string
		files     map[int]int
		inherited []int
		at        int
		want      []int
	}{
		{"standard", map[int]int{0: 0, 1: 1, 2: 2}, []int{0, 1, 2}, 3, []int{0, 1, 2, 99}},
		{"seven", map[int]int{0: 0, 2: 2, 3: 3, 7: 7}, []int{0, 2, 3, 7}, 4, []int{0, -1, 2, 3, 99, -1, -1, 7}},
		{"nothing of ours", map[int]int{0: 50, 1: 50, 2: 50}, []int{0, 1, 2, 5}, 3, []int{50, 50, 50, 99, -1, -1}},
	} {
		fds, at := table(c.files, c.inherited, 99)
		var got []int
		for _, fd := range fds {
			got = append(got, int(fd))
		}
		for len(got) > len(c.want) && got[len(got)-1] == closed {
			got = got[:len(got)-1]
		}
		if at != c.at || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v with the socket at %d, want %v, %d", c.name, got, at, c.want, c.at)
		}
	}
}

func TestMounts(t *testing.T) {
	got, err := parseMounts([]byte("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 22 0:21 / /proc rw - proc proc rw\n" +
		"24 22 259:300 / /x rw master:1 propagate_from:2 - overlay o rw\n25 22 0:30 / /dev rw - tmpfs t rw\n26 25 0:30 /null /proc/kcore rw - tmpfs t rw\n" +
		"27 22 0:31 /data /data rw - tmpfs t rw\n"))
	if err != nil || len(got) != 5 {
		t.Errorf("%v, %v", got, err)
	}
	for dev, want := range map[uint64]struct {
		kind    string
		virtual bool
	}{
		unix.Mkdev(8, 1): {"ext4", false}, unix.Mkdev(0, 21): {"proc", true}, unix.Mkdev(259, 300): {"overlay", false},
		unix.Mkdev(0, 30): {"tmpfs", true}, unix.Mkdev(0, 31): {"tmpfs", false}, // mounted for the container, bound from the host
	} {
		if got[dev].kind != want.kind || got[dev].virtual() != want.virtual {
			t.Errorf("device %#x: %+v, want %+v", dev, got[dev], want)
		}
	}
	// A root in memory holds the program's files like any other.
	if root, err := parseMounts([]byte("22 1 0:40 / / rw - tmpfs t rw\n")); err != nil || root[unix.Mkdev(0, 40)].virtual() {
		t.Errorf("a root in memory: %v, %v", root, err)
	}
	for _, bad := range []string{"22 1 8:1", "22 1 8-1 / / rw - ext4 x rw", "22 1 8:x / / rw - ext4 x rw", "22 1 8:1 / / rw -"} {
		if _, err := parseMounts([]byte(bad + "\n")); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	// What the parser says of this process's root is what the kernel says.
	own, err := readMounts(os.Getpid())
	var st unix.Stat_t
	if err != nil || unix.Stat("/", &st) != nil || own[st.Dev].kind == "" {
		t.Errorf("the root's device %#x is not among %v (%v)", st.Dev, own, err)
	}
}

func TestRules(t *testing.T) {
	b, err := encodeRules([]config.Rule{{Call: "write", Check: config.CheckExempt}, {Call: "*", Path: "/etc/**", Data: config.DataOwn}})
	if err != nil {
		t.Fatal(err)
	}
	var first, second abi.Rule
	rest, err := abi.Decode(b, &first)
	if err == nil {
		rest, err = abi.Decode(rest, &second)
	}
	if err != nil || first.Check != 1 || first.Bytes != 0 || second.Nr != anyCall || second.Data != 3 || string(rest[:second.Bytes]) != "/etc/**" || len(rest) != 8 {
		t.Errorf("%+v, %+v, %q, %v", first, second, rest, err)
	}
	if _, err := encodeRules([]config.Rule{{Call: "no_such"}}); err == nil {
		t.Error("a rule for no call was taken")
	}
}

// The library computes the same path; this one was computed by it.
func TestHelloSocket(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "g.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "other.yaml")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	direct, err := HelloSocket(file, 2)
	if err != nil {
		t.Fatal(err)
	}
	through, err := HelloSocket(link, 2)
	if err != nil || through != direct {
		t.Errorf("through a link: %s, not %s (%v)", through, direct, err)
	}
	other, err := HelloSocket(file, 3)
	if err != nil || other == direct {
		t.Errorf("two variants share %s (%v)", other, err)
	}
	if name := filepath.Base(direct); filepath.Dir(direct) != control.StateDir() || len(name) != 32+len(".sock") {
		t.Errorf("path %s", direct)
	}
	if _, err := HelloSocket(filepath.Join(dir, "none"), 2); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
}

func FuzzState(f *testing.F) {
	f.Add(fakeState())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		sections, err := parseState(b)
		if err != nil {
			return
		}
		again, err := parseState(encodeState(sections))
		if err != nil || len(again) > len(sections) {
			t.Fatalf("a state that parses does not when it is passed on: %v", err)
		}
		group, err := config.Local(2)
		if err != nil {
			t.Fatal(err)
		}
		object, err := startObject(sections, []abi.Sections{sections}, nil, group)
		if err != nil {
			t.Fatalf("a state that parses cannot be started from: %v", err)
		}
		if _, err := abi.ParseSections(object); err != nil {
			t.Fatalf("a start object that no library could read: %v", err)
		}
	})
}

func FuzzTexts(f *testing.F) {
	f.Add(append(abi.Append(nil, abi.Fatal{Nr: 3, Error: -2}), "words"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if note, text, err := parseFatal(b); err == nil && (note.startCode() == 0 || strings.ContainsAny(text, "\n\x1b\x00")) {
			t.Fatalf("%d, %q", note.startCode(), text)
		}
		if text := printable(b); strings.ContainsAny(text, "\n\x1b\x00\r") || len(text) > 3*maxText {
			t.Fatalf("%q", text)
		}
		_, _ = parseMounts(b)
		_, _ = parseProcStat(b)
	})
}

// TestEventsAreReadOnce: what follows a file takes a line when it is whole, once, and counts lines over all readings.
func TestEventsAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, EventFile)
	reader := NewEventReader(dir)
	text := ""
	for _, c := range []struct {
		add  string
		good int
		bad  string
	}{
		{"", 0, ""},
		{`{"kind":"sta`, 0, ""},
		{`rted"}` + "\n", 1, ""},
		{"x\n" + `{"kind":"ended"}` + "\n", 1, EventFile + ":2:"},
		{"y\n", 0, EventFile + ":4:"},
		{"", 0, ""},
	} {
		text += c.add
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		good, bad := 0, ""
		err := reader.Read(func(Entry) error { good++; return nil }, func(err error) { bad += err.Error() })
		if err != nil || good != c.good || (c.bad == "") != (bad == "") || !strings.Contains(bad, c.bad) {
			t.Errorf("after %q: %d events, complaint %q, error %v; want %d, %q", c.add, good, bad, err, c.good, c.bad)
		}
	}
}

// TestFolderOfAKilledStart: what a supervisor left that was killed before it had its lock is removed, when it is old.
func TestFolderOfAKilledStart(t *testing.T) {
	young, old := filepath.Join(GroupsDir(), "test-young.0.1"), filepath.Join(GroupsDir(), "test-old.0.1")
	then := time.Now().Add(-2 * time.Minute)
	for _, dir := range []string{young, old} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir)
	}
	if err := os.Chtimes(old, then, then); err != nil {
		t.Fatal(err)
	}
	if _, err := List(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Errorf("%s is still there", old)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}

// TestOutcomeNamesRealTimeSignals: an end by a signal that has no name of its own is told by the name that kill(1) gives it.
func TestOutcomeNamesRealTimeSignals(t *testing.T) {
	for sig, want := range map[unix.Signal]string{35: "was ended by signal 35 (SIGRTMIN+1)", 32: "was ended by signal 32", 15: "was ended by signal 15 (SIGTERM)"} {
		if got := (outcome{signal: sig}).String(); got != want {
			t.Errorf("it %s, want %s", got, want)
		}
	}
}
