package control

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessID names a process beyond the reuse of its number. Executing another
// program changes neither part.
type ProcessID struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since the host started
}

// IdentifyProcess names the process that has the number now.
func IdentifyProcess(pid int) (ProcessID, error) {
	p := ProcessID{Pid: pid}
	fields, err := readStat(pid)
	if err == nil {
		p.Start, err = strconv.ParseUint(fields[statStart], 10, 64)
	}
	if err != nil {
		return ProcessID{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return p, nil
}

// Alive reports whether that process runs. One that has ended and that nobody
// has waited for does not. One that is executing another program does, though its
// first thread may have ended for a moment then, and another takes its place: so
// the kernel is asked of the whole process, and again before it is called dead.
func (p ProcessID) Alive() bool {
	for range 3 {
		if p.runs() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

func (p ProcessID) runs() bool {
	if p.Pid <= 0 {
		return false
	}
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	// The descriptor is open: the number is not another's from here on.
	if now, err := IdentifyProcess(p.Pid); err != nil || now != p {
		return false
	}
	for {
		ended, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return err != nil || ended == 0
		}
	}
}

const statStart = 22 - 3 // of the fields that follow the name

func readStat(pid int) ([]string, error) {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	return StatFields(line, statStart+1)
}

// StatFields returns what follows the name in a line of /proc/PID/stat (proc(5)),
// the state first; the name is in parentheses and may hold anything. Fewer fields
// than least are an error.
func StatFields(line []byte, least int) ([]string, error) {
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) < least {
		return nil, fmt.Errorf("%.80q is not a line of /proc/PID/stat", line)
	}
	return fields, nil
}
