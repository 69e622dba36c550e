// Package proc starts the programs of the tests and sees to it that each one ends. It knows nothing of monmod: what to
// start is its caller's choice, that it ends within its deadline and leaves nothing behind is its own.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// pipeGrace bounds how long output is still read after a program's own end: a process that it left behind may hold the
// pipe open for ever.
const pipeGrace = 2 * time.Second

// Spec says what to start. Zero values mean: no input, output captured, the environment given and nothing else.
type Spec struct {
	Argv     []string
	Dir      string
	Env      []string
	Stdin    io.Reader  // an *os.File is handed over as it is, anything else through a pipe
	Stdout   *os.File   // nil: captured
	Stderr   *os.File   // nil: captured
	Extra    []*os.File // entry i becomes descriptor 3+i, a nil entry stays closed
	Deadline time.Duration
	Attr     *syscall.SysProcAttr // nil: a process group of its own
}

// Process is a started program.
type Process struct {
	cmd      *exec.Cmd
	spec     Spec
	started  time.Time
	stdout   syncBuffer
	stderr   syncBuffer
	done     chan struct{}
	result   Result
	mu       sync.Mutex
	ended    bool
	expired  bool
	deadline *time.Timer
	atExpiry string
}

// Result is how a program ended.
type Result struct {
	Argv    []string
	Status  int // as a shell shows it: the exit code, or 128+n for signal n
	Stdout  []byte
	Stderr  []byte
	Elapsed time.Duration
	Expired bool   // the deadline passed and the program was killed
	State   string // what each of its processes was doing when the deadline passed
	Err     error  // waiting failed, for instance because output was held open by a process left behind
}

// endBy bounds the deadline of everything that is started; zero does not.
var endBy time.Time

// EndBy makes every program end by t at the latest. A test binary whose own time is up dies without ending what it started,
// so its TestMain calls this with a moment before that.
func EndBy(t time.Time) { endBy = t }

// Start starts the program of spec. It is killed, with its process group, when spec.Deadline has passed.
func Start(spec Spec) (*Process, error) {
	if !endBy.IsZero() {
		spec.Deadline = min(spec.Deadline, time.Until(endBy))
	}
	if len(spec.Argv) == 0 || spec.Deadline <= 0 {
		return nil, fmt.Errorf("start %q with deadline %v: a program and time for it are both required", spec.Argv, spec.Deadline)
	}
	p := &Process{spec: spec, done: make(chan struct{}), started: time.Now()}
	cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.ExtraFiles = spec.Dir, spec.Env, spec.Stdin, spec.Extra
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	if spec.Stdout != nil {
		cmd.Stdout = spec.Stdout
	}
	if spec.Stderr != nil {
		cmd.Stderr = spec.Stderr
	}
	cmd.SysProcAttr = spec.Attr
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	cmd.WaitDelay = pipeGrace
	p.cmd = cmd
	if err := startKnown(cmd); err != nil {
		return nil, fmt.Errorf("start %q in %s: %w", spec.Argv, spec.Dir, err)
	}
	p.deadline = time.AfterFunc(spec.Deadline, p.expire)
	go p.wait()
	return p, nil
}

// Run starts the program of spec and waits for its end.
func Run(spec Spec) (Result, error) {
	p, err := Start(spec)
	if err != nil {
		return Result{}, err
	}
	return p.Wait(), nil
}

func (p *Process) wait() {
	err := p.cmd.Wait()
	p.mu.Lock()
	p.ended = true
	expired, state := p.expired, p.atExpiry
	p.mu.Unlock()
	p.deadline.Stop()
	forget(p.cmd.Process.Pid)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	p.result = Result{
		Argv: p.spec.Argv, Status: shellStatus(p.cmd.ProcessState),
		Stdout: p.stdout.Bytes(), Stderr: p.stderr.Bytes(),
		Elapsed: time.Since(p.started), Expired: expired, State: state, Err: err,
	}
	close(p.done)
}

func (p *Process) expire() {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if ended {
		return
	}
	state := describe(p.cmd.Process.Pid)
	p.mu.Lock()
	p.expired, p.atExpiry = true, state
	p.mu.Unlock()
	p.Kill()
}

// Kill ends the program and its process group at once.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	if p.spec.Attr == nil || p.spec.Attr.Setpgid || p.spec.Attr.Setsid {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	_ = p.cmd.Process.Kill()
}

// Signal sends sig to the program alone, not to its group.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Pid returns the process ID of what was started: monmod's own where a program runs monitored.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended and its output is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end; the deadline bounds it.
func (p *Process) Wait() Result {
	<-p.done
	return p.result
}

// Output returns what the program has written to its captured standard output so far.
func (p *Process) Output() []byte { return p.stdout.Bytes() }

// WaitOutput waits until the captured standard output satisfies ok, the program ends or limit passes; only the first is no error.
func (p *Process) WaitOutput(limit time.Duration, ok func([]byte) bool) error {
	end := time.Now().Add(limit)
	for {
		if ok(p.stdout.Bytes()) {
			return nil
		}
		select {
		case <-p.done:
			if ok(p.stdout.Bytes()) {
				return nil
			}
			return fmt.Errorf("wait for output of %q: it ended first:\n%s", p.spec.Argv, p.result)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for output of %q: not seen after %v; so far %q, errors %q",
				p.spec.Argv, limit, p.stdout.Bytes(), p.stderr.Bytes())
		}
	}
}

// String shows all that a failed test needs.
func (r Result) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%q: status %d after %v", r.Argv, r.Status, r.Elapsed.Round(time.Millisecond))
	if r.Expired {
		fmt.Fprintf(&b, ", KILLED at its deadline, when its processes were:\n%s", r.State)
	}
	if r.Err != nil {
		fmt.Fprintf(&b, ", %v", r.Err)
	}
	fmt.Fprintf(&b, "\n--- stdout\n%s\n--- stderr\n%s\n", clip(r.Stdout), clip(r.Stderr))
	return b.String()
}

// clip keeps the beginning and the end of long output.
func clip(b []byte) []byte {
	const half = 6000
	if len(b) <= 2*half {
		return b
	}
	out := append([]byte{}, b[:half]...)
	out = fmt.Appendf(out, "\n… %d bytes left out …\n", len(b)-2*half)
	return append(out, b[len(b)-half:]...)
}

func shellStatus(s *os.ProcessState) int {
	ws, ok := s.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// syncBuffer is a buffer that is read while a program still writes to it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) Bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}
