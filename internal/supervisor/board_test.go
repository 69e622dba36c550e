package supervisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestListSeesWhatIsStopped: a group whose supervisor or leader has been stopped since it was last published is not running.
func TestListSeesWhatIsStopped(t *testing.T) {
	supervisor, leader, follower := sleeper(t), sleeper(t), sleeper(t)
	group := "stopped-" + time.Now().Format("150405.000000000")
	b, err := openBoard(group, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.show(Status{Group: group, Supervisor: supervisor, State: "running", Variants: []VariantStatus{
		{ID: 1, Role: "leader", PID: leader, State: "running"}, {ID: 2, Role: "follower", PID: follower, State: "running"},
		{ID: 3, Role: "follower", State: "elsewhere"}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		stop []int
		want []string // of the group, then of its variants
	}{
		{"nothing", nil, []string{"running", "running", "running", "elsewhere"}},
		{"Ctrl-Z", []int{supervisor, leader}, []string{"stopped", "stopped", "running", "elsewhere"}},
		{"the supervisor alone", []int{supervisor}, []string{"stopped", "running", "running", "elsewhere"}},
		{"a follower", []int{follower}, []string{"running", "running", "stopped", "elsewhere"}},
		{"all variants", []int{leader, follower}, []string{"stopped", "stopped", "stopped", "elsewhere"}},
		{"nothing any more", nil, []string{"running", "running", "running", "elsewhere"}},
	} {
		for _, pid := range []int{supervisor, leader, follower} {
			sig, state := unix.SIGCONT, byte('S')
			if slices.Contains(c.stop, pid) {
				sig, state = unix.SIGSTOP, 'T'
			}
			signalAndWait(t, pid, sig, state)
		}
		if got := shown(t, group); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestListSeesWhatIsFrozen: so is one whose variants an engine has paused.
func TestListSeesWhatIsFrozen(t *testing.T) {
	leader, follower := sleeper(t), sleeper(t)
	for what, freeze := range map[string]func(bool){"the leader": freezing(t, leader), "the follower": freezing(t, follower)} {
		freeze(true)
		st := Status{State: "running", Supervisor: os.Getpid(), Variants: []VariantStatus{{PID: leader, State: "running"}, {PID: follower, State: "running"}}}
		st.look()
		want := Status{State: "running", Variants: []VariantStatus{{State: "running"}, {State: "running"}}}
		if what == "the leader" {
			want.State, want.Variants[0].State = "stopped", "stopped"
		} else {
			want.Variants[1].State = "stopped"
		}
		if st.State != want.State || st.Variants[0].State != want.Variants[0].State || st.Variants[1].State != want.Variants[1].State {
			t.Errorf("%s is frozen: %+v", what, st)
		}
		freeze(false)
	}
}

// sleeper is a process that does nothing until the test ends.
func sleeper(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is there until it is waited for
		_ = cmd.Wait()         // its end is the kill
	})
	return cmd.Process.Pid
}

func signalAndWait(t *testing.T, pid int, sig unix.Signal, state byte) {
	t.Helper()
	if err := unix.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st, err := readProcStat(pid); err == nil && st.state == state {
			return
		}
	}
	t.Fatalf("process %d did not come to state %c", pid, state)
}

func shown(t *testing.T, group string) []string {
	t.Helper()
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range all {
		if st.Group != group {
			continue
		}
		states := []string{st.State}
		for _, v := range st.Variants {
			states = append(states, v.State)
		}
		return states
	}
	t.Fatalf("group %s is not listed: %+v", group, all)
	return nil
}

// TestListBesideStarts lists groups all the time while others begin and end: none is taken for a dead one's.
func TestListBesideStarts(t *testing.T) {
	stop, listed := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				listed <- nil
				return
			default:
			}
			if _, err := List(); err != nil {
				listed <- err
				return
			}
		}
	}()
	for n := range 500 {
		b, err := openBoard("test-beside", n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(b.dir, lockFile)); err != nil {
			t.Error(err)
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-listed; err != nil {
		t.Error(err)
	}
}
