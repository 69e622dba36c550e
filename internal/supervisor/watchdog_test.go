package supervisor

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWatchdogEndsWhatIsLeft(t *testing.T) {
	for _, c := range []struct {
		name  string
		ends  bool
		tells bool
		how   func(w *watchdog) error
	}{
		{"supervisor gone", true, true, func(w *watchdog) error { w.link.close(); <-w.gone; return w.end }},
		{"supervisor gone when all is over", true, false, func(w *watchdog) error { err := w.over(); w.link.close(); <-w.gone; return errors.Join(err, w.end) }},
		{"supervisor done", false, false, (*watchdog).dismiss},
	} {
		t.Run(c.name, func(t *testing.T) {
			var pidfd int
			cmd := exec.Command("sleep", "60")
			cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer closeAll(pidfd)
			log, stderr, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			dir := filepath.Join(t.TempDir(), "logs")
			w, err := startWatchdog()
			if err == nil {
				err = errors.Join(w.serves("web", dir), w.watch(pidfd), w.logs(int(stderr.Fd())), stderr.Close())
			}
			if err == nil {
				err = c.how(w)
			}
			if err != nil {
				t.Error(err)
			}
			p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
			n, err := unix.Poll(p, 0) // the watchdog has gone: what it did is done, but for the kernel's last steps
			for end := time.Now().Add(time.Second); c.ends && n == 0 && time.Now().Before(end); {
				n, err = unix.Poll(p, 10)
			}
			if err != nil || (n == 1) != c.ends {
				t.Errorf("ended: %v, want %v (%v)", n == 1, c.ends, err)
			}
			said, err := io.ReadAll(log) // to its end: nobody holds it any more
			if err != nil || bytes.HasPrefix(said, []byte("monmod: the supervisor of group web (process ")) != c.tells || bytes.Count(said, []byte("\n")) > 1 {
				t.Errorf("the container's log: %q (%v)", said, err)
			}
			event, _ := os.ReadFile(filepath.Join(dir, EventFile)) // none, where it has nothing to tell
			if bytes.Contains(event, []byte(`"kind":"supervisor_lost"`)) != c.tells {
				t.Errorf("the events: %q", event)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}
