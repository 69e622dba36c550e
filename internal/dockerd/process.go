package dockerd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// terminate is how both daemons are asked to end.
const terminate = syscall.SIGTERM

// daemon is one process that was started here. A nil one was never started, and has ended.
type daemon struct {
	process *os.Process
	name    string
	log     string
	ended   chan struct{}
}

// launch starts a program in a process group of its own, so that a Ctrl-C reaches whoever is to stop it and not itself. It is
// asked to end when this process dies.
func launch(log, program string, arguments ...string) (*daemon, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: terminate}

	d := &daemon{name: program, log: log, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal at the parent's death is tied to the thread that started the child: it must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
			close(d.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s (it comes with Debian's package docker.io): %w", program, err)
	}
	d.process = command.Process
	return d, nil
}

func (d *daemon) running() bool {
	if d == nil {
		return false
	}
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// waitFor waits until ready, and fails when the process ends or the context does.
func (d *daemon) waitFor(ctx context.Context, ready func() bool) error {
	for !ready() {
		select {
		case <-d.ended:
			log, _ := os.ReadFile(d.log)
			return fmt.Errorf("%s ended at once, saying:\n%s", d.name, log)
		case <-ctx.Done():
			log, _ := os.ReadFile(d.log)
			return fmt.Errorf("waiting for %s: %w; it said:\n%s", d.name, ctx.Err(), log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// stop asks the process to end, and kills it when it does not.
func (d *daemon) stop() error {
	if !d.running() {
		return nil
	}
	if err := d.process.Signal(terminate); err != nil {
		return fmt.Errorf("ending %s, process %d: %w", d.name, d.process.Pid, err)
	}
	select {
	case <-d.ended:
		return nil
	case <-time.After(stopLimit):
	}
	if err := d.process.Kill(); err != nil {
		return fmt.Errorf("killing %s, process %d: %w", d.name, d.process.Pid, err)
	}
	<-d.ended
	return fmt.Errorf("%s, process %d, did not end within %v and was killed", d.name, d.process.Pid, stopLimit)
}
