package control

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
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
		const start = 22 - 3 // of the fields that follow the name
		p.Start, err = strconv.ParseUint(string(fields[start]), 10, 64)
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

// readStat returns what follows the name in a process' stat line; the name may
// hold anything, parentheses included.
func readStat(pid int) ([][]byte, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/stat"
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	const least = 22 - 2
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < least {
		return nil, fmt.Errorf("%s has %d fields behind the name", path, len(fields))
	}
	return fields, nil
}
