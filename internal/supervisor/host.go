package supervisor

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/version"
)

// Version of monmod, in reports and `monmod version`.
const Version = version.Number

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

// enoughFiles says whether this process may open what it takes to serve a group of n variants and to report on it. What it
// inherited keeps its numbers in the program, and what is passed with it is put behind the last of them for a moment.
func enoughFiles(n int) error {
	inherited, err := Inherited()
	if err != nil {
		return err
	}
	need := len(inherited) + 16 + 8*n
	if len(inherited) > 0 {
		need = max(need, inherited[len(inherited)-1]+8)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("look at the limit of open files: %w", err)
	}
	return tooFew("a group of "+strconv.Itoa(n)+" variants", limit.Cur, need)
}

// enoughFiles says whether the library may open what it needs in v's process, beside what is open there.
func (s *session) enoughFiles(v *variant) error {
	limits, err := abi.DecodeAll[unix.Rlimit](v.hello[abi.SecLimits])
	if err != nil {
		return err
	}
	need := len(v.hello[abi.SecFds])/16 + 19 + len(s.group.Variants)
	if s.module != nil {
		need++
	}
	return tooFew(v.String(), limits[unix.RLIMIT_NOFILE].Cur, need)
}

func tooFew(who string, limit uint64, need int) error {
	if limit >= uint64(need) {
		return nil
	}
	return failf(ExitConfig, "%s cannot be started: the limit of open files is %d, and %d are needed: raise it, such as by `ulimit -n 1024`, and start monmod again",
		who, limit, need)
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // sockets and memory: nothing can be lost
	}
}

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
