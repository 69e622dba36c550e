// Package sigrtmin catches SIGRTMIN, signal 34, which os/signal does not: Go leaves it alone for musl's sake, with its default
// action, which is death. It is unblocked in all threads of Go's, so that a signalfd would see none of it either.
//
// The handler (handler_amd64.s) knows nothing of Go, and so asks nothing of its runtime: it adds 1 to an eventfd, which a
// goroutine reads. It runs on the stack that Go gives each thread for signals, with all others blocked, as Go's own does.
package sigrtmin

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signal is the signal that is caught.
const Signal = unix.Signal(34)

// descriptor is the handler's eventfd.
var descriptor int32 = -1

// counter puts the handler in force. It stays so, and its eventfd open: a signal may be on its way at any time, and would else
// be this process's death, or be written to another file.
var counter = sync.OnceValues(func() (*os.File, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	descriptor = int32(fd)
	act := action{handler: handler(), flags: onStack | restart | hasRestorer, restorer: restorer(), mask: ^uint64(0)}
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(Signal), uintptr(unsafe.Pointer(&act)), 0, unsafe.Sizeof(act.mask), 0, 0); errno != 0 {
		_ = unix.Close(fd) // nobody has written to it
		return nil, fmt.Errorf("set its action: %w", errno)
	}
	return os.NewFile(uintptr(fd), "eventfd of SIGRTMIN"), nil
})

// The addresses of what the kernel calls, and of what it returns to.
func handler() uintptr
func restorer() uintptr

// action is the kernel's struct sigaction.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// Flags of an action.
const (
	onStack     = 0x08000000
	restart     = 0x10000000
	hasRestorer = 0x04000000
)

// Notify sends every SIGRTMIN of this process to a channel, one after the other as they are received, until stop is called; then
// they are taken and forgotten. There may be one such channel at a time.
func Notify(to chan<- os.Signal) (stop func(), err error) {
	pending, err := counter()
	if err == nil {
		err = pending.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return nil, fmt.Errorf("catch signal %d: %w", int(Signal), err)
	}
	count := make([]byte, 8)
	_, _ = unix.Read(int(descriptor), count) // what came while nobody asked
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := pending.Read(count); err != nil {
				return // the deadline that stop sets
			}
			for range binary.NativeEndian.Uint64(count) {
				select {
				case to <- Signal:
				case <-ended:
					return
				}
			}
		}
	}()
	return func() {
		close(ended)
		_ = pending.SetReadDeadline(time.Unix(1, 0)) // where one could be set before
		<-done
	}, nil
}
