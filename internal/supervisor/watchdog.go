package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// The watchdog is a process that does nothing but end the containers whose supervisor is gone: inside a container the first
// process cannot be ended by its tether's signal, and a hostile one might have got rid of the tether. It takes pidfds over a
// socket, and kills what they name when the socket ends without a word of leave.

// watchdog is a supervisor's end.
type watchdog struct {
	link *link
	cmd  *exec.Cmd
	gone chan struct{} // closed when its process has ended
	end  error         // of the process, then
}

// WatchdogArg is what this executable is called with to be a watchdog: its socket is descriptor 3.
const WatchdogArg = "watchdog"

const (
	watchdogFD = 3
	// maxWatched bounds what one watchdog holds.
	maxWatched = 64
	wordWatch  = 1
	wordLeave  = 2
)

// startWatchdog starts the watchdog of this supervisor.
func startWatchdog() (*watchdog, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	l, err := newLink(ours)
	if err != nil {
		closeAll(theirs)
		return nil, err
	}
	end := os.NewFile(uintptr(theirs), "watchdog's end")
	defer end.Close() // the child has its own
	cmd := exec.Command("/proc/self/exe", WatchdogArg)
	cmd.Args[0] = "monmod"
	cmd.ExtraFiles = []*os.File{end}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // not in reach of what ends the supervisor's group
	if err := cmd.Start(); err != nil {
		l.close()
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	w := &watchdog{link: l, cmd: cmd, gone: make(chan struct{})}
	go func() {
		w.end = cmd.Wait()
		close(w.gone)
	}()
	return w, nil
}

func (w *watchdog) say(word byte, fds ...int) error {
	if _, _, err := w.link.conn.WriteMsgUnix([]byte{word}, unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("tell the watchdog: %w: is its process gone", err)
	}
	return nil
}

// watch makes the watchdog end the process of a pidfd when this supervisor is gone.
func (w *watchdog) watch(pidfd int) error { return w.say(wordWatch, pidfd) }

// dismiss lets the watchdog go without ending anyone.
func (w *watchdog) dismiss() error {
	select {
	case <-w.gone: // which has been told
		w.link.close()
		return nil
	default:
	}
	_, _, err := w.link.conn.WriteMsgUnix([]byte{wordLeave}, nil, nil)
	w.link.close()
	<-w.gone
	return errors.Join(err, w.end)
}

// RunWatchdog is the watchdog's whole life. It ignores signals that are meant for the supervisor.
func RunWatchdog() error {
	f := os.NewFile(watchdogFD, "supervisor")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return fmt.Errorf("watch a supervisor: %w: this is started by monmod itself", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return errors.New("watch a supervisor: descriptor 3 is no unix socket: this is started by monmod itself")
	}
	_ = f.Close()
	var watched []int
	for {
		word, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
		n, oobn, _, _, err := u.ReadMsgUnix(word, oob)
		if err != nil || n == 0 {
			return killAll(watched)
		}
		if word[0] == wordLeave {
			return nil
		}
		fds, err := descriptors(oob[:oobn])
		if err != nil || len(watched)+len(fds) > maxWatched {
			return errors.Join(fmt.Errorf("watch a supervisor: it gives %d processes: %w", len(watched)+len(fds), err), killAll(watched))
		}
		watched = append(watched, fds...)
	}
}

func killAll(pidfds []int) error {
	var errs []error
	for _, fd := range pidfds {
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("end a variant whose supervisor is gone: %w", err))
		}
	}
	return errors.Join(errs...)
}
