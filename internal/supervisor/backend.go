package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/kmod"
	"github.com/monmod/monmod/internal/peer"
)

// Versions of what monmod's parts say to each other.
const (
	ProtocolVersion = abi.AbiVersion
	PeerVersion     = peer.Version
)

// Finding is one thing that Diagnose looked at.
type Finding struct {
	Name    string
	Backend bool // a way for system calls into the monitor
	Spare   bool // programs can be run without it
	Holds   bool
	Words   string
}

const (
	prSetSyscallUserDispatch = 59
)

// probeSUD asks the kernel for Syscall User Dispatch by switching it off, which it is.
func probeSUD() error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, prSetSyscallUserDispatch, 0, 0, 0, 0, 0)
	if errno == 0 {
		return nil
	}
	return errno
}

// Diagnose says which back ends hold on this host, best first, and what else the library needs.
func Diagnose() []Finding {
	sud := Finding{Name: "sud", Backend: true, Holds: true, Words: "Syscall User Dispatch: Linux " + kernelRelease() + " has it"}
	if err := probeSUD(); err != nil {
		sud.Holds, sud.Words = false, fmt.Sprintf("Syscall User Dispatch: Linux %s refuses it (%v): 5.11 or newer is needed, and the sysctl kernel.syscall_user_dispatch, where there is one, must be on", kernelRelease(), err)
	}
	return []Finding{findModule(), sud, {Name: "seccomp", Backend: true, Words: "not in this version"}, findLibrary(), findState(), findLogs()}
}

func findModule() Finding {
	f := Finding{Name: "kmod", Backend: true}
	m, err := kmod.Open()
	switch {
	case err == nil:
		f.Holds, f.Words = true, fmt.Sprintf("the kernel module is loaded; guard: %v", m.Best())
		if err := m.Close(); err != nil {
			f.Holds, f.Words = false, err.Error()
		}
	case kmod.Loaded():
		f.Words = err.Error()
	default:
		f.Words = "the kernel module is not loaded: `monmod kmod load`"
		if why := kmod.Obstacle(); why != "" {
			f.Words = why
		}
	}
	return f
}

func findLibrary() Finding {
	path, err := FindLibrary()
	if err != nil {
		return Finding{Name: "libmonmod.so", Words: err.Error()}
	}
	return Finding{Name: "libmonmod.so", Holds: true, Words: path}
}

func findState() Finding {
	f := Finding{Name: "state", Holds: true, Words: GroupsDir()}
	if err := os.MkdirAll(GroupsDir(), 0o700); err != nil {
		f.Holds, f.Words = false, fmt.Sprintf("the folder for running groups cannot be made: %v: make %s writable or set XDG_RUNTIME_DIR", err, GroupsDir())
	}
	return f
}

// findLogs looks at the folder that holds the groups' folders of logs, unless they say another. Without one no group starts;
// where one cannot be written groups run all the same, and nothing is kept of them.
func findLogs() Finding {
	f := Finding{Name: "logs"}
	g, err := config.Local(config.MinVariants)
	if err == nil {
		err = g.CheckLogs()
	}
	if err != nil {
		f.Words = err.Error()
		return f
	}
	return writable(f, filepath.Dir(g.Logs))
}

// writable looks whether a folder can be written, or made where it is not there, and changes nothing.
func writable(f Finding, dir string) Finding {
	f.Spare = true
	at := dir
	info, err := os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	if err == nil && !info.IsDir() {
		err = unix.ENOTDIR
	}
	if err == nil {
		err = unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	}
	if err != nil {
		f.Words = fmt.Sprintf("reports and events cannot be kept in %s: %s: %v: make it writable, or name another folder by --logs or by a group's `logs`", dir, at, err)
		return f
	}
	f.Holds, f.Words = true, dir
	return f
}

// ChooseBackend turns a group's wish into what this host does, or says why it cannot: a *Failure with ExitConfig.
func ChooseBackend(wish config.Backend) (config.Backend, error) {
	if wish != config.BackendSUD {
		f := findModule()
		if f.Holds {
			return config.BackendKmod, nil
		}
		if wish == config.BackendKmod {
			return "", failf(ExitConfig, "back end kmod: %s", f.Words)
		}
	}
	if err := probeSUD(); err != nil {
		return "", failf(ExitConfig, "back end sud: this kernel refuses Syscall User Dispatch (%w): `monmod doctor` says what holds here", err)
	}
	return config.BackendSUD, nil
}
