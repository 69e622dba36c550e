package supervisor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

func TestBasesAreApart(t *testing.T) {
	regions := map[string]func(abi.Bases) uint64{
		"monitor": func(b abi.Bases) uint64 { return b.Monitor }, "program": func(b abi.Bases) uint64 { return b.Program },
		"interp": func(b abi.Bases) uint64 { return b.Interp }, "stack": func(b abi.Bases) uint64 { return b.Stack },
		"mmap": func(b abi.Bases) uint64 { return b.Mmap },
	}
	for range 200 {
		var all []abi.Bases
		for place := range abi.MaxVariants {
			all = append(all, chooseBases(place))
		}
		var addresses []uint64
		for name, of := range regions {
			low := map[uint64]bool{}
			for place, b := range all {
				at := of(b)
				if at%abi.Page != 0 || at < 0x1000_0000_0000 || at >= 0x7fff_0000_0000 {
					t.Fatalf("%s of place %d at %#x", name, place, at)
				}
				if low[at>>12&0xf] {
					t.Fatalf("%s: two places have the same second byte in %#x", name, at)
				}
				low[at>>12&0xf] = true
				addresses = append(addresses, at)
			}
		}
		slices.Sort(addresses)
		for i := 1; i < len(addresses); i++ {
			if gap := addresses[i] - addresses[i-1]; gap < 64*gib {
				t.Fatalf("%#x and %#x are only %d GiB apart", addresses[i-1], addresses[i], gap/gib)
			}
		}
		if b := all[0].Brk; b%abi.Page != 0 || b >= brkGapMax {
			t.Fatalf("brk gap %#x", b)
		}
	}
}

// TestBasesLeaveSanitizersRoom looks at where AddressSanitizer maps its allocator over whatever is there: mappings, which grow down
// to the beginning of their slice, and what lies beside them must be elsewhere.
func TestBasesLeaveSanitizersRoom(t *testing.T) {
	for place := range uint64(abi.MaxVariants) {
		for _, r := range []region{monitorRegion, programRegion, mmapRegion, interpRegion, stackRegion} {
			from, to := r.low+place*r.slice, r.low+(place+1)*r.slice
			for _, space := range []uint64{0x5000_0000_0000, 0x6000_0000_0000} {
				if from < space+4*tib && to > space {
					t.Errorf("%#x to %#x of place %d is also the allocator's", from, to, place)
				}
			}
			if r.skip+r.room > r.slice {
				t.Errorf("the slices from %#x on overlap", r.low)
			}
		}
	}
}

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

func TestLatenessCountsRunningTime(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pid, period, now := cmd.Process.Pid, 100*time.Millisecond, time.Now()
	var l lateness
	look := func(late bool, mark uint64, after time.Duration) time.Duration {
		now = now.Add(after)
		l.see(now, pid, late, [3]uint64{mark}, period)
		return l.wall
	}
	for i, c := range []struct {
		late bool
		mark uint64
		wait time.Duration
		want time.Duration
	}{
		{true, 1, 0, 0}, {true, 1, period, period}, {true, 1, period, 2 * period}, // grows
		{true, 1, time.Hour, 4 * period},                // this process itself stood still
		{true, 2, period, 0}, {true, 2, period, period}, // it moved
		{false, 2, period, 0}, {true, 2, period, 0}, // nobody waits
	} {
		if got := look(c.late, c.mark, c.wait); got != c.want {
			t.Errorf("look %d: %v, want %v", i, got, c.want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if st, err := readProcStat(pid); err == nil && st.state == 'T' {
			break
		} else if time.Now().After(end) {
			t.Fatal("the process did not stop")
		}
	}
	if got := look(true, 2, period); got != 0 {
		t.Errorf("stopped: %v counts", got)
	}
}

// TestKickIsForASignalToTake: a follower that is late for another reason is left alone, since a kick interrupts what it does.
func TestKickIsForASignalToTake(t *testing.T) {
	const ring = 64 << 10
	record := func(kind, flags uint8) []byte {
		return abi.Append(nil, abi.Rec{Size: 160, Kind: kind, Flags: flags, Nr: 14})
	}
	for _, c := range []struct {
		name   string
		tail   uint64
		record []byte
		waits  uint32
		kick   bool
		again  time.Duration
	}{
		{"forced", 0, record(abi.RecSignal, abi.RfForced), 0, true, alertPeriod},
		{"forced, with another behind", 3*ring - 32, record(abi.RecSignal, abi.RfForced|abi.RfMore), 0, true, alertPeriod},
		{"at a call", 64, record(abi.RecSignal, 0), 0, false, computingPeriod},
		{"a call", 64, record(abi.RecCall, abi.RfForced), 0, false, computingPeriod},
		{"a call that is awaited", 64, record(abi.RecCall, 0), 1, false, samplePeriod},
		{"a place that is none", 1<<64 - 3, record(abi.RecCall, 0), 0, false, computingPeriod},
	} {
		s := newSession(&config.Group{}, "", nil, nil)
		var err error
		if s.arena, err = newArena(1, ring, mirrors{stream: true, index: [abi.MaxFollowers]bool{true}}); err != nil {
			t.Fatal(err)
		}
		copy(s.arena.stream.mem[abi.Page+c.tail%ring&^7:], c.record)
		s.arena.streamPage().Head = c.tail + 160
		s.arena.indexPage(0).Tail, s.arena.indexPage(0).Waits = c.tail, c.waits
		cmd := exec.Command("sleep", "60") // a kick ends it
		pidfd := -1
		cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if again := s.urge(&variant{pidfd: pidfd}, time.Now()); again != c.again {
			t.Errorf("%s: looked at again after %v, want %v", c.name, again, c.again)
		}
		_ = cmd.Process.Kill() // behind the kick, whose number is lower
		state, _ := cmd.Process.Wait()
		if kicked := state.Sys().(syscall.WaitStatus).Signal() == kickSignal; kicked != c.kick {
			t.Errorf("%s: %v", c.name, state)
		}
		closeAll(pidfd)
		if err := s.arena.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestProcStat(t *testing.T) {
	line := "77 (a) b (c)) T 1 2 3 34816 5 6 7 8 9 10 150 50 0 0 20"
	st, err := parseProcStat([]byte(line))
	if err != nil || st.cpu != 2*time.Second || st.state != 'T' || !st.terminal {
		t.Errorf("%+v, %v", st, err)
	}
	for _, bad := range []string{"", "77 (x) S 1", "77 (x) S 1 2 3 4 5 6 7 8 9 10 x 50 0", "77 (x) S 1 2 3 4 5 6 7 8 9 10 1 -5 0"} {
		if _, err := parseProcStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
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

// pumped is a session with nothing but an arena, for what pumps write into it.
func pumped(t *testing.T, m mirrors) *session {
	t.Helper()
	a, err := newArena(1, abi.RingMin, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return &session{arena: a}
}

func TestPumpTakesNothingImpossible(t *testing.T) {
	le := binary.LittleEndian
	stream := func(at, end uint64, n int) []byte {
		return append(le.AppendUint64(le.AppendUint64(nil, at), end), make([]byte, n)...)
	}
	s := pumped(t, mirrors{stream: true})
	var arrived uint64
	for _, c := range []struct {
		name string
		in   []byte
		ok   bool
		head uint64 // as the follower sees it afterwards
	}{
		{"empty", nil, false, 0}, {"no data", stream(0, 0, 0), false, 0}, {"not of 8", stream(0, 12, 12), false, 0},
		{"elsewhere", stream(8, 16, 8), false, 0}, {"first", stream(0, 64, 64), true, 64}, {"again", stream(0, 64, 64), false, 64},
		{"a part", stream(64, 1024, 64), true, 64}, {"and the rest", stream(128, 1024, 896), true, 1024},
		{"to the brim", stream(1024, abi.RingMin, abi.RingMin-1024), true, abi.RingMin},
		{"over", stream(abi.RingMin, abi.RingMin+8, 8), false, abi.RingMin},
	} {
		err := s.takeStream(0, &arrived, c.in)
		if head := s.arena.head(); (err == nil) != c.ok || head != c.head {
			t.Errorf("stream: %s: %v, published up to %d", c.name, err, head)
		}
	}
	s, arrived = pumped(t, mirrors{stream: true}), 0
	if err := s.takeStream(0, &arrived, stream(0, 8, 64)); err == nil || s.arena.head() != 0 {
		t.Errorf("more than was published was taken: %v, published up to %d", err, s.arena.head())
	}
	m := mirrors{}
	m.index[0] = true
	s = pumped(t, m)
	index := func(tail, compared, done uint64, verdict, length uint32, form int) []byte {
		b := le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, tail), compared), done)
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 1), verdict), length), 0)
		return append(le.AppendUint64(b, 5), make([]byte, form)...)
	}
	for _, c := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"empty", nil, false}, {"ahead", index(8, 0, 0, 0, 0, 0), false}, {"first", index(0, 3, 2, 0, 0, 0), true},
		{"back", index(0, 2, 2, 0, 0, 0), false}, {"unknown verdict", index(0, 3, 2, 7, 0, 0), false},
		{"verdict longer than said", index(0, 3, 2, 1, 8, 16), false}, {"too long", index(0, 3, 2, 1, abi.VerdictBytes+8, abi.VerdictBytes+8), false},
		{"verdict", index(0, 3, 2, 1, 16, 16), true},
	} {
		if err := s.takeIndex(&remote{}, c.in); (err == nil) != c.ok {
			t.Errorf("index: %s: %v", c.name, err)
		}
	}
	if p := s.arena.indexPage(0); p.Compared != 3 || p.Done != 2 || p.Verdict != 1 || p.VerdictLen != 16 || p.VerdictSeq != 5 {
		t.Errorf("index page: compared %d, done %d, verdict %d of %d bytes at %d", p.Compared, p.Done, p.Verdict, p.VerdictLen, p.VerdictSeq)
	}
}

func TestWatchdogEndsWhatIsLeft(t *testing.T) {
	for _, c := range []struct {
		name  string
		ends  bool
		tells bool
		how   func(w *watchdog) error
	}{
		{"supervisor gone", true, true, func(w *watchdog) error { w.link.close(); <-w.gone; return w.end }},
		{"supervisor gone when all is over", true, false, func(w *watchdog) error { err := w.over(); w.link.close(); <-w.gone; return errors.Join(err, w.end) }},
		{"supervisor done", false, false, (*watchdog).dismiss},
	} {
		t.Run(c.name, func(t *testing.T) {
			var pidfd int
			cmd := exec.Command("sleep", "60")
			cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer closeAll(pidfd)
			log, stderr, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			dir := filepath.Join(t.TempDir(), "logs")
			w, err := startWatchdog()
			if err == nil {
				err = errors.Join(w.serves("web", dir), w.watch(pidfd), w.logs(int(stderr.Fd())), stderr.Close())
			}
			if err == nil {
				err = c.how(w)
			}
			if err != nil {
				t.Error(err)
			}
			p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
			n, err := unix.Poll(p, 0) // the watchdog has gone: what it did is done, but for the kernel's last steps
			for end := time.Now().Add(time.Second); c.ends && n == 0 && time.Now().Before(end); {
				n, err = unix.Poll(p, 10)
			}
			if err != nil || (n == 1) != c.ends {
				t.Errorf("ended: %v, want %v (%v)", n == 1, c.ends, err)
			}
			said, err := io.ReadAll(log) // to its end: nobody holds it any more
			if err != nil || bytes.HasPrefix(said, []byte("monmod: the supervisor of group web (process ")) != c.tells || bytes.Count(said, []byte("\n")) > 1 {
				t.Errorf("the container's log: %q (%v)", said, err)
			}
			event, _ := os.ReadFile(filepath.Join(dir, EventFile)) // none, where it has nothing to tell
			if bytes.Contains(event, []byte(`"kind":"supervisor_lost"`)) != c.tells {
				t.Errorf("the events: %q", event)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
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
