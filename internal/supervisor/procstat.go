package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/monmod/monmod/internal/control"
)

// clockTick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every processor that Linux has.
const clockTick = 10 * time.Millisecond

// procStat is what /proc/PID/stat says of a process.
type procStat struct {
	cpu        time.Duration // user and system, all threads
	state      byte
	terminal   bool // it has a controlling terminal
	foreground bool // … whose signals it gets
}

func readProcStat(pid int) (procStat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	return parseProcStat(b)
}

// parseProcStat reads what stands behind the name, which is in parentheses and may hold anything.
func parseProcStat(b []byte) (procStat, error) {
	fields, err := control.StatFields(b, 13)
	if err != nil {
		return procStat{}, fmt.Errorf("read the state of a process: %w", err)
	}
	user, err := strconv.ParseUint(fields[11], 10, 63)
	if err != nil {
		return procStat{}, fmt.Errorf("read a process's user time: %w", err)
	}
	system, err := strconv.ParseUint(fields[12], 10, 63)
	if err != nil {
		return procStat{}, fmt.Errorf("read a process's system time: %w", err)
	}
	return procStat{cpu: time.Duration(user+system) * clockTick, state: fields[0][0], terminal: fields[4] != "0", foreground: fields[2] == fields[5]}, nil
}

// stopped reports whether a process is kept from running: by a stop signal, a tracer, or a frozen control group, of which files
// tell (freezers) or, to who may trace it, the place in the kernel where it waits.
func (s procStat) stopped(pid int, files []string) bool {
	if s.state == 'T' || s.state == 't' || frozen(files) {
		return true
	}
	place, err := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", pid))
	return err == nil && (bytes.Contains(place, []byte("refrigerator")) || bytes.Contains(place, []byte("freezer_trap")))
}

// stopped is of a process as it is now.
func stopped(pid int) bool {
	st, err := readProcStat(pid)
	return err == nil && st.stopped(pid, freezers(pid))
}
