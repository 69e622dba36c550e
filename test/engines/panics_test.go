package engines

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
)

// A container whose supervisor has panicked ends and is removed like any other, and its log goes with it: most tests would not
// see it. So the log of each is opened while it is there, and read when nothing more is written.

const logsSought = 10 * time.Millisecond // no container is there for as short

// crash begins what the Go runtime says of its own end.
var crash = regexp.MustCompile(`(?m)^(panic|fatal error): `)

// supervisorLogs are the logs of all containers' supervisors.
type supervisorLogs struct {
	files map[uint64]*os.File // by inode, which none gets anew while it is open
	stop  chan struct{}
	done  chan struct{}
}

// watchLogs opens the log of every supervisor from now on.
func watchLogs() *supervisorLogs {
	l := &supervisorLogs{files: make(map[uint64]*os.File), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for {
			l.look()
			select {
			case <-l.stop:
				return
			case <-time.After(logsSought):
			}
		}
	}()
	return l
}

func (l *supervisorLogs) look() {
	found, _ := filepath.Glob(filepath.Join(control.ContainersDir(), "*", control.LogFile))
	for _, path := range found {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || l.files[st.Ino] != nil {
			continue // removed just now, or known
		}
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if unix.Fstat(int(f.Fd()), &st) != nil || l.files[st.Ino] != nil {
			_ = f.Close() // replaced in between: the next look finds it
			continue
		}
		l.files[st.Ino] = f
	}
}

// close names every supervisor that has panicked, with what it said.
func (l *supervisorLogs) close() error {
	close(l.stop)
	<-l.done
	var errs []error
	for _, f := range l.files {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd())) // also where its name is gone
		if err != nil {
			errs = append(errs, err)
		} else if crash.Match(text) {
			errs = append(errs, fmt.Errorf("a supervisor has panicked: %s:\n%s", f.Name(), text[:min(len(text), 4000)]))
		}
		_ = f.Close()
	}
	return errors.Join(errs...)
}
