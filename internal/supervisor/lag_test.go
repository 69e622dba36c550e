package supervisor

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
)

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
