package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWriteAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs", "web")
	var paths []string
	for i := range 3 {
		r := sample(OtherCall)
		r.Time = r.Time.Add(time.Duration(i) * time.Nanosecond).In(time.FixedZone("x", 3600))
		path, err := Write(dir, r)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		got, err := Load(path)
		if err != nil || !got.Time.Equal(r.Time) || got.Headline == "" || got.Schema != Schema {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if !(paths[0] < paths[1] && paths[1] < paths[2]) {
		t.Errorf("the names do not sort by time: %v", paths)
	}
	for path, mode := range map[string]os.FileMode{paths[0]: 0o600, dir: 0o700} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", path, st.Mode(), err, mode)
		}
	}
	for _, from := range []string{dir, filepath.Dir(dir)} { // of the group, of all groups
		if last, err := Last(from); err != nil || last != paths[2] {
			t.Errorf("the last of %s: %s, %v; want %s", from, last, err, paths[2])
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLastOfNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"divergence-x.json", "other.json", ".divergence-20260301T123000.250000000Z-00.json.part"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, filepath.Join(dir, "missing")} {
		if path, err := Last(d); !errors.Is(err, ErrNone) {
			t.Errorf("%s: got %s, %v", d, path, err)
		}
	}
}

// tmpfs mounts a small one for the test.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		t.Skipf("mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

func TestWriteFails(t *testing.T) {
	for _, test := range []struct {
		name string
		dir  func(*testing.T) string
		want []string
	}{
		{"full disk", func(t *testing.T) string {
			dir := tmpfs(t, "size=8k,mode=0700")
			if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 4096), 0o600); err != nil {
				t.Fatal(err)
			}
			return dir
		}, []string{"no space left", "make room there"}},
		{"read-only", func(t *testing.T) string {
			dir := tmpfs(t, "size=64k,mode=0700")
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			return dir
		}, []string{"read-only file system", "set `logs`"}},
		{"a file in the way", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, []string{"not a directory", "set `logs` to a folder"}},
		{"writable by all", func(t *testing.T) string {
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			return dir
		}, []string{"others could replace reports", "chmod go-w"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := test.dir(t)
			r := sample(OtherCall)
			for range MaxEvents {
				r.Events = append(r.Events, Event{Time: r.Time, Kind: "filler", Text: strings.Repeat("x", 200)})
			}
			_, err := Write(dir, r)
			for _, want := range append(test.want, "writing the divergence report into "+dir) {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error with %q", err, want)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*divergence*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestWriteRefusesNonsense(t *testing.T) {
	for _, test := range []struct {
		change func(*Report)
		want   string
	}{
		{func(r *Report) { r.Reason = "peer_lost" }, "a lost peer is an event"},
		{func(r *Report) { r.Reason = "bored" }, `reason "bored"`},
		{func(r *Report) { r.Response = "" }, "response"},
		{func(r *Report) { r.ExitCode = 256 }, "exit_code 256"},
		{func(r *Report) { r.Group = "" }, "group is missing"},
		{func(r *Report) { r.Variant = 3 }, "variant 3 is neither"},
		{func(r *Report) { r.Time = time.Time{} }, "is not a time"},
	} {
		r := sample(OtherCall)
		test.change(r)
		if _, err := Write(t.TempDir(), r); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want an error with %q", err, test.want)
		}
	}
}

// Nothing that a variant sends makes a report that cannot be read back.
func TestWriteBounds(t *testing.T) {
	r := sample(OtherCall)
	var items [][]byte
	for range 1536 / 8 {
		items = append(items, pointer(1))
	}
	call := decoded(t, called(t, "write", 1, items...))
	for range 4 * MaxBefore {
		r.Leader.Before, r.Other.Before = append(r.Leader.Before, *call), append(r.Other.Before, *call)
	}
	for range 1000 {
		r.Args = append(r.Args, strings.Repeat("\x01", maxText))
		r.Events = append(r.Events, Event{Time: r.Time, Kind: "x", Text: strings.Repeat("\xff", maxText)})
	}
	path, err := Write(t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Leader.Before) != MaxBefore || len(got.Events) != MaxEvents || len(got.Args) != MaxArgs || len(r.Events) != 1001 {
		t.Errorf("%d calls, %d events, %d arguments; %d events in the original",
			len(got.Leader.Before), len(got.Events), len(got.Args), len(r.Events))
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	path, err := Write(dir, sample(OtherCall))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "no JSON object"},
		{"cut", good[:len(good)/2], "no JSON object"},
		{"something else", `{"a": 1}`, "has no schema"},
		{"newer", strings.Replace(good, `"schema": 1`, `"schema": 2`, 1), "use the monmod that wrote it"},
		{"unknown key", strings.Replace(good, `"group"`, `"gruop"`, 1), "gruop"},
		{"two reports", good + good, "no JSON object"},
		{"a number for an address", strings.Replace(good, `"monitor": "0x0"`, `"monitor": 0`, 1), `a string like "0x1f"`},
		{"a bad address", strings.Replace(good, `"monitor": "0x0"`, `"monitor": "zz"`, 1), `a string like "0x1f"`},
		{"unknown reason", strings.Replace(good, `"other_call"`, `"x"`, 1), `reason "x"`},
		{"too large", good + strings.Repeat(" ", MaxBytes), "at most"},
	} {
		file := filepath.Join(dir, "try")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want an error with %q", test.name, err, test.want)
		}
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{fifo, dir} {
		if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "no plain file") {
			t.Errorf("%s: got %v", file, err)
		}
	}
}

func TestRedact(t *testing.T) {
	r := sample(OtherArgument)
	r.Args = []string{"prog", "--password=hunter2"}
	r.Leader.Registers = &Registers{RAX: 0x31, RIP: 0x32}
	r.Leader.Call = decoded(t, called(t, "write", 1834, value(0, 4), text(1, "hunter2")))
	r.Other.Call = decoded(t, called(t, "write", 1834, value(0, 4), text(1, "hunter3")))
	r.Other.Before = []Call{*decoded(t, called(t, "write", 1, text(1, "hunter2"))), *decoded(t, called(t, "openat", 2, text(1, "/etc/shown\x00")))}
	r.Redact()
	path, err := Write(t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter", "aHVudGVy" /* base64 */, "0x31"} {
		if strings.Contains(string(data), secret) {
			t.Errorf("%s is still there:\n%s", secret, data)
		}
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	one, two, again := got.Leader.Call.Args[1].Digest, got.Other.Call.Args[1].Digest, got.Other.Before[0].Args[0].Digest
	if one == "" || one == two || one != again || !got.Leader.Call.Args[1].Differs || got.Leader.Registers.RIP != 0x32 ||
		!strings.Contains(got.Other.Before[1].String(), "/etc/shown") {
		t.Errorf("digests %s, %s, %s; %+v", one, two, again, got.Leader)
	}
}

func FuzzLoad(f *testing.F) {
	r := sample(OtherArgument)
	r.Leader.Call, r.Other.Call = decoded(f, called(f, "write", 1834, value(0, 4), text(1, "a"))), decoded(f, called(f, "write", 1834, value(0, 5), text(1, "b")))
	path, err := Write(f.TempDir(), r)
	if err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			return
		}
		var out strings.Builder
		if err := Render(&out, r, 60, false); err != nil {
			t.Fatal(err)
		}
		for _, c := range out.String() {
			if c != '\n' && (c < 0x20 || c == 0x7f) {
				t.Fatalf("unprintable %q in %q", c, out.String())
			}
		}
	})
}
