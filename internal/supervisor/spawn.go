package supervisor

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// spawner starts processes from one thread that lives as long as it does: a follower's death signal is tied to the thread of
// its parent, not to the process.
type spawner struct {
	work chan func()
}

func newSpawner() *spawner {
	sp := &spawner{work: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range sp.work {
			f()
		}
	}()
	return sp
}

func (sp *spawner) do(f func() error) error {
	done := make(chan error)
	sp.work <- func() { done <- f() }
	return <-done
}

func (sp *spawner) close() { close(sp.work) }

// Inherited lists the descriptors of this process that an executed program would keep, in ascending order: its own are all
// close-on-exec. Call it before anything else opens one.
func Inherited() ([]int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, failf(ExitConfig, "list the descriptors that the program inherits: %w: mount /proc, or raise the limit of open files (ulimit -n)", err)
	}
	var out []int
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, fmt.Errorf("list the descriptors that the program inherits: %q is no number", e.Name())
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if errors.Is(err, unix.EBADF) {
			continue // that of the listing itself
		}
		if err != nil {
			return nil, fmt.Errorf("look at descriptor %d: %w", fd, err)
		}
		if flags&unix.FD_CLOEXEC == 0 {
			out = append(out, fd)
		}
	}
	slices.Sort(out)
	return out, nil
}

// closed marks a number in a table of descriptors that the child does not have.
const closed = -1

// table lays out a child's descriptors: files as they are, everything else that this process would pass on closed, and the
// control socket on the lowest number that is free, from 3 up. It returns that number.
func table(files map[int]int, inherited []int, control int) (fds []uintptr, at int) {
	top := 2
	for _, fd := range inherited {
		top = max(top, fd)
	}
	for to := range files {
		top = max(top, to)
	}
	list := make([]int, top+2)
	for i := range list {
		list[i] = closed
	}
	for to, from := range files {
		list[to] = from
	}
	for at = 3; list[at] != closed; at++ {
	}
	list[at] = control
	for _, fd := range list {
		fds = append(fds, uintptr(fd))
	}
	return fds, at
}

// launch is what every variant of a session is started with.
type launch struct {
	library string
	program string   // resolved path
	args    []string // without the program's name
	env     []string
	dir     string
	files   map[int]int // descriptors of the leader: its number, ours
}

// spawn starts v as `libmonmod.so --fd K --token HEX -- PROGRAM ARGS` and fills its pid, pidfd, token and link. The leader
// stays in this process group, so that the terminal sees one job; followers get a session of their own.
func (l *launch) spawn(v *variant) error {
	if _, err := rand.Read(v.token[:]); err != nil {
		return fmt.Errorf("draw a token: %w", err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer unix.Close(theirs)
	link, err := newLink(ours)
	if err != nil {
		return err
	}
	inherited, err := Inherited()
	if err != nil {
		link.close()
		return err
	}
	files, sys := l.files, &syscall.SysProcAttr{PidFD: &v.pidfd}
	if !v.leads() {
		null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			link.close()
			return fmt.Errorf("open %s for a follower: %w", os.DevNull, err)
		}
		defer unix.Close(null)
		files = map[int]int{0: null, 1: null, 2: null}
		sys.Setsid, sys.Pdeathsig = true, syscall.SIGKILL
	}
	fds, at := table(files, inherited, theirs)
	argv := append([]string{"libmonmod.so", "--fd", strconv.Itoa(at), "--token", hex.EncodeToString(v.token[:]), "--", l.program}, l.args...)
	pid, err := syscall.ForkExec(l.library, argv, &syscall.ProcAttr{Dir: l.dir, Env: l.env, Files: fds, Sys: sys})
	if err != nil {
		link.close()
		return fmt.Errorf("start variant %d: execute %s: %w", v.id, l.library, err)
	}
	v.pid, v.link, v.child = pid, link, true
	if v.pidfd < 0 {
		return fmt.Errorf("start variant %d: this kernel gives no pidfd: Linux 5.4 or newer is needed", v.id)
	}
	unix.CloseOnExec(v.pidfd)
	return nil
}
