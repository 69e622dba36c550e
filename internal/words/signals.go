package words

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Real-time signals as glibc counts them, and `kill -l`; those below are the C libraries' own.
const (
	rtMin = 34
	rtMax = 64
)

// SignalName is the name of a signal, "" of one that has none.
func SignalName(n uint64) string {
	switch {
	case n == rtMin:
		return "SIGRTMIN"
	case n > rtMin && n < rtMax:
		return fmt.Sprintf("SIGRTMIN+%d", n-rtMin)
	case n == rtMax:
		return "SIGRTMAX"
	case n < rtMin:
		return unix.SignalName(unix.Signal(n))
	}
	return ""
}

// Signal is a signal by its number, and by its name where it has one.
func Signal(n uint64) string {
	if name := SignalName(n); name != "" {
		return fmt.Sprintf("signal %d (%s)", n, name)
	}
	return fmt.Sprintf("signal %d", n)
}
