package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// continuedTime is how long the news of a continuation may take from the signal's handler to who waits for it.
const continuedTime = time.Second

// sigaction is the kernel's struct of that name on x86_64.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// stopAsJob stops this process as its shell expects of a job, until it is continued; false says that it did not stop. It is
// SIGTSTP that stops it, with its default action: other than a SIGSTOP the kernel drops it where no shell is left that could
// continue the process, also when the shell has gone at this very moment.
func stopAsJob() (stopped bool, err error) {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, unix.SIGCONT)
	defer signal.Stop(continued)
	runtime.LockOSThread() // a signal of a thread to itself has acted when the call returns
	defer runtime.UnlockOSThread()
	var standard, before sigaction // that of this process may be a handler, or that it is ignored
	if err := setAction(unix.SIGTSTP, &standard, &before); err != nil {
		return false, err
	}
	err = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP)
	if err = errors.Join(err, setAction(unix.SIGTSTP, &before, nil)); err != nil {
		return false, err
	}
	select {
	case <-continued:
		return true, nil
	case <-time.After(continuedTime):
		return false, nil
	}
}

// stillStopped says whether a stop of the child that has just been taken from the kernel lasts: nothing has followed it, be it
// another stop.
func (v *variant) stillStopped() bool {
	var next unix.Siginfo
	err := unix.Waitid(unix.P_PID, v.pid, &next, unix.WSTOPPED|unix.WCONTINUED|unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && next.Signo == 0
}

func setAction(sig unix.Signal, action, before *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(before)), unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return fmt.Errorf("set the action of signal %d: %w", int(sig), errno)
	}
	return nil
}
