package supervisor

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	futexWait = 0
	futexWake = 1
)

// wake wakes whoever sleeps on a word of shared memory, which may be mapped read-only.
func wake(word *uint32) {
	// The one way to fail is a bad address, and the word is mapped.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, math.MaxInt32, 0, 0, 0)
}

// sleep returns when the word is not value, somebody wakes it, or after limit.
func sleep(word *uint32, value uint32, limit time.Duration) {
	ts := unix.NsecToTimespec(limit.Nanoseconds())
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value), uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// wakeLeader makes a leader that sleeps on a follower's bell look at the control page again.
func (a *arena) wakeLeader(slot int) { wake(&a.indexPage(slot).Bell) }

// lives says whether a follower takes part.
func (a *arena) lives(slot int) bool { return atomic.LoadUint32(&a.controlPage().Live)>>slot&1 == 1 }
