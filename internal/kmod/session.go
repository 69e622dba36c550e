// Package kmod speaks with the kernel module: sessions by /dev/monmod (include/monmod/kmod.h), its state in /sys/kernel/monmod, and
// why it cannot be used where it cannot. It decides nothing about groups.
package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
)

// Device is the module's device node.
const Device = "/dev/monmod"

// Guard is a protection of the monitor against the program that it watches.
type Guard uint32

// The guards of this version.
const (
	GuardNone  Guard = abi.KmodGuardNone  // gates pass every call
	GuardToken Guard = abi.KmodGuardToken // gates pass the monitor's calls only
	GuardKey   Guard = abi.KmodGuardKey   // the same, and the monitor's memory has a protection key
	GuardPages Guard = abi.KmodGuardPages // the same, and the monitor's memory is out of the page tables while the program runs
)

// Session is an open device. Its end, also by the death of this process, kills every task that is armed in it.
type Session struct {
	file *os.File
	conn syscall.RawConn

	guards uint32
}

// Open begins a session. Its error says what is missing and what to do.
func Open() (*Session, error) {
	fd, err := unix.Open(Device, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %s", Device, err, missing(err))
	}
	f := os.NewFile(uintptr(fd), Device)
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", Device, err)
	}
	s := &Session{file: f, conn: conn}
	info := abi.KmodInfo{Version: abi.KmodVersion}
	if _, err := s.verb(abi.KmodIocInfo, unsafe.Pointer(&info)); err != nil {
		f.Close()
		if errors.Is(err, unix.EPROTO) {
			return nil, fmt.Errorf("the loaded kernel module is of another version than this monmod: `monmod kmod unload`, then load the one that came with it")
		}
		return nil, fmt.Errorf("ask the kernel module for its version: %w", err)
	}
	if info.Active == 0 {
		f.Close()
		return nil, errors.New("the kernel module is switched off: `echo 1 >/sys/kernel/monmod/active` switches it on")
	}
	s.guards = info.Guards
	return s, nil
}

// Best is the strongest guard that this processor has.
func (s *Session) Best() Guard {
	if s.guards>>GuardKey&1 != 0 {
		return GuardKey
	}
	return GuardPages
}

// String names a guard.
func (g Guard) String() string {
	switch g {
	case GuardNone:
		return "none"
	case GuardToken:
		return "token"
	case GuardKey:
		return "protection key"
	case GuardPages:
		return "hidden pages"
	}
	return fmt.Sprintf("guard %d", uint32(g))
}

// Close ends the session.
func (s *Session) Close() error { return s.file.Close() }

// Arming makes a descriptor by which one process maps the monitor's memory and arms itself. The caller closes it.
func (s *Session) Arming(guard Guard) (int, error) {
	arg := abi.KmodArming{Version: abi.KmodVersion, Guard: uint32(guard)}
	fd, err := s.verb(abi.KmodIocArming, unsafe.Pointer(&arg))
	if err != nil {
		return -1, fmt.Errorf("ask the kernel module for an arming descriptor (guard: %v): %w", guard, err)
	}
	return fd, nil
}

// Wait returns when there is a violation to be taken, or with an error when the session is closed.
func (s *Session) Wait() error {
	return s.conn.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

// Take gives a violation if there is one.
func (s *Session) Take() (Violation, bool, error) {
	var raw [unsafe.Sizeof(abi.KmodViolation{})]byte
	var n int
	var err error
	if cerr := s.conn.Control(func(fd uintptr) { n, err = unix.Read(int(fd), raw[:]) }); cerr != nil {
		return Violation{}, false, cerr
	}
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return Violation{}, false, nil
	case err != nil:
		return Violation{}, false, fmt.Errorf("read violations from the kernel module: %w", err)
	case n != len(raw):
		return Violation{}, false, fmt.Errorf("read violations from the kernel module: %d bytes instead of %d", n, len(raw))
	}
	v := (*abi.KmodViolation)(unsafe.Pointer(&raw))
	return Violation{PID: int(v.Pid), Offence: Offence(v.Offence), Nr: int64(v.Nr), IP: v.Ip, SP: v.Sp}, true, nil
}

func (s *Session) verb(request uint, arg unsafe.Pointer) (int, error) {
	var r uintptr
	var errno unix.Errno
	if err := s.conn.Control(func(fd uintptr) {
		r, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(arg))
	}); err != nil {
		return -1, err
	}
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

func missing(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the kernel module is not loaded: `monmod kmod load`; `monmod doctor` says whether it can be"
	case errors.Is(err, fs.ErrPermission):
		return "only root may use the kernel module, unless the administrator gives others access to the device"
	}
	return "`monmod doctor` says more"
}
