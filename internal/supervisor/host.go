package supervisor

import (
	"os"

	"golang.org/x/sys/unix"
)

// Version of monmod, in reports and `monmod version`.
const Version = "0.1.0"

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// spinTries is how often a variant looks before it sleeps, where each has a processor of its own.
const spinTries = 2000

// spin is the number for START: where variants outnumber processors, looking only takes time from the one that is waited for.
func (s *session) spin() uint32 {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < len(s.variants) {
		return 0
	}
	return spinTries
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // sockets and memory: nothing can be lost
	}
}

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
