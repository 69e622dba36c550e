// Package machine describes the machine on which results were got, as far as they hang on it.
package machine

import (
	"bytes"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Describe returns kernel, architecture and number of processors, in one line.
func Describe() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Sprintf("unknown kernel (%v), %d CPUs", err, runtime.NumCPU())
	}
	text := func(field []byte) string { return string(bytes.TrimRight(field, "\x00")) }
	return fmt.Sprintf("Linux %s %s, %d CPUs", text(u.Release[:]), text(u.Machine[:]), runtime.NumCPU())
}
