package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/report"
)

// The watchdog is a process that does nothing but end the containers whose supervisor is gone: inside a container the first
// process cannot be ended by its tether's signal, and a hostile one might have got rid of the tether. It takes pidfds over a
// socket, and kills what they name when the socket ends without a word of leave. Then it also says so, in the group's events and
// in the container's log, since nobody else can.

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
	maxWord    = 8 << 10
	wordWatch  = 1 // with the pidfd of a process
	wordLeave  = 2
	wordServes = 3 // with a served
	wordLog    = 4 // with the container's standard error
	wordOver   = 5 // the group is over: there is nothing to tell any more, and an engine may wait for the end of the log
	// A log that takes nothing holds nobody up for longer than this.
	watchdogTime = 10 * time.Millisecond
)

// served is what a watchdog must know of its supervisor to tell of its end.
type served struct {
	Group      string `json:"group"`
	Logs       string `json:"logs"`
	Supervisor int    `json:"supervisor"`
}

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

func (w *watchdog) say(word byte, body []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := w.link.conn.WriteMsgUnix(append([]byte{word}, body...), oob, nil); err != nil {
		return fmt.Errorf("tell the watchdog: %w: is its process gone", err)
	}
	return nil
}

// watch makes the watchdog end the process of a pidfd when this supervisor is gone.
func (w *watchdog) watch(pidfd int) error { return w.say(wordWatch, nil, pidfd) }

// serves tells the watchdog where the end of this supervisor is to be told of.
func (w *watchdog) serves(group, logs string) error {
	body, err := json.Marshal(served{Group: group, Logs: logs, Supervisor: os.Getpid()})
	if err != nil {
		return err
	}
	return w.say(wordServes, body)
}

// logs gives the watchdog the container's log.
func (w *watchdog) logs(stderr int) error { return w.say(wordLog, nil, stderr) }

// over lets the watchdog close the log. It goes on watching: what outlives its group is to be ended too.
func (w *watchdog) over() error { return w.say(wordOver, nil) }

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
	var watched, logs []int
	var of served
	for {
		word, oob := make([]byte, maxWord), make([]byte, unix.CmsgSpace(4))
		n, oobn, _, _, err := u.ReadMsgUnix(word, oob)
		if err != nil || n == 0 {
			return of.ends(watched, logs)
		}
		fds, err := descriptors(oob[:oobn])
		if err == nil && word[0] == wordServes {
			err = json.Unmarshal(word[1:n], &of)
		}
		if err != nil || len(watched)+len(logs)+len(fds) > maxWatched {
			return errors.Join(fmt.Errorf("watch a supervisor: it gives %d processes: %w", len(watched)+len(fds), err), killAll(watched))
		}
		switch word[0] {
		case wordLeave:
			return nil
		case wordWatch:
			watched = append(watched, fds...)
		case wordLog:
			logs = append(logs, fds...)
		case wordOver:
			closeAll(logs...)
			logs, of = nil, served{}
		}
	}
}

// ends ends what a supervisor has left behind that is gone. What it tells reaches the log before, where it can: some engines
// read no longer when a container's first process is gone.
func (of served) ends(watched, logs []int) error {
	text := fmt.Sprintf("the supervisor of group %s (process %d) is gone without a word, and its variants are ended: see who or what ended it, and start the container again", of.Group, of.Supervisor)
	for _, fd := range logs {
		select {
		case <-writeLastWord(fd, text):
		case <-time.After(watchdogTime):
		}
	}
	err := killAll(watched)
	if of.Group == "" || len(watched) == 0 {
		return err
	}
	j := newJournal(of.Logs, of.Group, func(failed error) { err = errors.Join(err, failed) })
	j.add(Entry{Event: report.Event{Time: time.Now(), Kind: "supervisor_lost", Text: text}, Group: of.Group, Supervisor: of.Supervisor})
	return errors.Join(err, j.close())
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
