package proc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// known holds the process IDs that Start started and that have not ended. What else turns up as a child was left behind by one
// of them and fell to this process, the reaper of its descendants.
var known = struct {
	sync.Mutex
	pids map[int]bool
}{pids: map[int]bool{}}

// startKnown starts cmd under the lock, so that Orphans never sees a child that is not yet known.
func startKnown(cmd *exec.Cmd) error {
	known.Lock()
	defer known.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	known.pids[cmd.Process.Pid] = true
	return nil
}

func forget(pid int) {
	known.Lock()
	defer known.Unlock()
	delete(known.pids, pid)
}

// AdoptOrphans makes the calling process the reaper of all its descendants, so that Orphans can see what a program left behind.
func AdoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper of the tests' processes: %w", err)
	}
	return nil
}

// Orphans waits up to grace for processes that ended programs left behind, ends those that are still there after it and
// returns a line for each of them.
func Orphans(grace time.Duration) []string {
	end := time.Now().Add(grace)
	for {
		left := orphans()
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(end) {
			var lines []string
			for _, pid := range left {
				lines = append(lines, strings.TrimSuffix(describe(pid), "\n"))
				_ = syscall.Kill(pid, syscall.SIGKILL)
				_, _ = syscall.Wait4(pid, nil, 0, nil)
			}
			return lines
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// orphans reaps the dead ones and returns the living.
func orphans() []int {
	known.Lock()
	defer known.Unlock()
	var left []int
	for _, pid := range children(os.Getpid()) {
		if known.pids[pid] {
			continue
		}
		if got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err == nil && got == pid {
			continue
		}
		left = append(left, pid)
	}
	return left
}

// Children returns the process IDs whose parent is pid.
func Children(pid int) []int { return children(pid) }

func children(parent int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var pids []int
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// The command name may hold anything, so the fields are counted from its closing parenthesis: state, parent.
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// describe says, for a process and its descendants, what each is doing.
func describe(pid int) string {
	var b strings.Builder
	read := func(name string) string {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			return "?"
		}
		return strings.TrimSpace(strings.ReplaceAll(string(raw), "\x00", " "))
	}
	state := "?"
	for _, line := range strings.Split(read("status"), "\n") {
		if rest, ok := strings.CutPrefix(line, "State:"); ok {
			state = strings.TrimSpace(rest)
		}
	}
	fmt.Fprintf(&b, "  pid %d %q %s, in %s, call %s\n", pid, read("cmdline"), state, read("wchan"), read("syscall"))
	for _, child := range children(pid) {
		b.WriteString(describe(child))
	}
	return b.String()
}
