package programs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/filetree"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

func TestExitStatus(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		for _, c := range []struct {
			argv   []string
			status int
		}{
			{[]string{"exit", "0"}, 0},
			{[]string{"exit", "3"}, 3},
			{[]string{"exit", "255"}, 255},
			{[]string{"kill", "15"}, 128 + 15},
			{[]string{"kill", "9"}, 128 + 9},
			{[]string{"abort"}, 128 + 6},
			// A fault that all variants run into alike is the program's own.
			{[]string{"fault"}, 128 + 11},
		} {
			s.want(s.run(s.spec(append([]string{s.behave}, c.argv...)...)), c.status, "")
		}
	})
}

func TestStreams(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		r := s.run(s.spec(s.behave, "streams"))
		s.want(r, 0, "to stdout\n")
		if !bytes.Contains(r.Stderr, []byte("to stderr\n")) {
			s.t.Errorf("standard error is lost: %s", r)
		}
	})
}

func TestStdin(t *testing.T) {
	text := string(filetree.Text(3, 300_000))
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	nativelyAndMonitored(t, func(s stage) {
		spec := s.spec("cat")
		spec.Stdin = strings.NewReader(text)
		s.want(s.run(spec), 0, text)

		spec = s.spec("sort", "--parallel=1", "-s", "-k2,2")
		spec.Stdin = strings.NewReader(strings.Join(lines, ""))
		if r := s.run(spec); r.Status != 0 || len(r.Stdout) != len(strings.Join(lines, "")) {
			s.t.Errorf("sort from a pipe: %s", r)
		}

		// A writer that takes its time: the leader blocks, the followers must wait for it.
		r, w := io.Pipe()
		go func() {
			for i := range 10 {
				fmt.Fprintf(w, "line %d\n", i)
				time.Sleep(20 * time.Millisecond)
			}
			w.Close()
		}()
		spec = s.spec("wc", "-l")
		spec.Stdin = r
		s.want(s.run(spec), 0, "10\n")

		// Closed from the start.
		spec = s.spec("cat")
		spec.Stdin = strings.NewReader("")
		s.want(s.run(spec), 0, "")
	})
}

func TestBrokenPipe(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		r, w, err := os.Pipe()
		if err != nil {
			s.t.Fatal(err)
		}
		spec := s.spec("yes")
		spec.Stdout = w
		p := s.start(spec)
		w.Close()
		if _, err := io.ReadFull(r, make([]byte, 100_000)); err != nil {
			s.t.Error(err)
		}
		r.Close()
		s.want(p.Wait(), 128+13, "")
	})
}

func TestInheritedDescriptor(t *testing.T) {
	const text = "what descriptor 7 holds\n"
	nativelyAndMonitored(t, func(s stage) {
		path := filepath.Join(s.base, "seven")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			s.t.Fatal(err)
		}
		defer file.Close()
		r, w, err := os.Pipe()
		if err != nil {
			s.t.Fatal(err)
		}
		defer r.Close()
		if _, err := w.WriteString(text); err != nil {
			s.t.Fatal(err)
		}
		w.Close()
		for _, f := range []*os.File{file, r} {
			spec := s.spec(s.behave, "descriptor", "7")
			spec.Extra = []*os.File{nil, nil, nil, nil, f}
			s.want(s.run(spec), 0, text)
		}
		// And what was not inherited is not open: the monitor's own descriptors are out of reach.
		s.want(s.run(s.spec(s.behave, "descriptor", "7")), int(syscall.EBADF), "")
	})
}

func TestEnvironment(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		spec := s.spec("env")
		spec.Env = append(spec.Env, "EMPTY=", "SPACE=a b\tc", "Z=last")
		s.want(s.run(spec), 0, strings.Join(spec.Env, "\n")+"\n")
	})
}

var atCall = regexp.MustCompile(`at call [1-9][0-9]* of lane 0`)

// TestUncheckedProgram tries what this version cannot follow: it has to end with the call's name, and what the call would have
// started must not run.
func TestUncheckedProgram(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		for _, c := range []struct {
			name  string
			argv  []string
			calls []string
		}{
			{"fork", []string{s.behave, "fork", "marker"}, []string{"clone", "fork"}},
			{"vfork", []string{s.behave, "vfork", "marker"}, []string{"vfork", "clone"}},
			{"thread", []string{s.behave, "thread", "marker"}, []string{"clone3", "clone"}},
			{"exec", []string{s.behave, "exec", "marker"}, []string{"execve"}},
			{"shell", []string{"sh", "-c", "touch marker; true"}, []string{"clone", "fork"}},
			{"python thread", []string{"python3", "-c", "import threading; threading.Thread(target=open, args=('marker', 'w')).start()"}, []string{"clone3", "clone"}},
		} {
			marker := filepath.Join(s.base, "marker")
			if err := os.Remove(marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.t.Fatal(err)
			}
			r := s.run(s.spec(c.argv...))
			_, err := os.Stat(marker)
			if s.how.Variants == 0 {
				if err != nil || r.Status != 0 {
					s.t.Errorf("%s natively: %v, %s", c.name, err, r)
				}
				continue
			}
			if err == nil {
				s.t.Errorf("%s: what was started ran unchecked: %s", c.name, r)
			}
			named := false
			for _, call := range c.calls {
				named = named || bytes.Contains(r.Stderr, []byte(call))
			}
			if r.Status == 0 || !named {
				s.t.Errorf("%s: want a failure that names one of %q: %s", c.name, c.calls, r)
			}
			if !atCall.Match(r.Stderr) {
				s.t.Errorf("%s: it does not say at which call: %s", c.name, r)
			}
		}
	})
}

// TestCallWithoutARow: such a call has a name for people all the same, and the report does not take the one before it for it.
func TestCallWithoutARow(t *testing.T) {
	inWays(t, []target.How{twoFull, twoRW}, func(s stage) {
		r := s.run(s.spec(s.behave, "module"))
		if r.Status != statusDivergence || !bytes.Contains(r.Stderr, []byte("(call init_module)")) {
			s.t.Errorf("want status %d and a message that names init_module: %s", statusDivergence, r)
		}
		text := takeReports(s.base)
		calls, _, _ := strings.Cut(text, "\nregisters of ") // what follows is what led there
		if !strings.Contains(calls, " called init_module at call ") || !strings.Contains(calls, "  init_module()\n") || strings.Contains(calls, "before") {
			s.t.Errorf("the report:\n%s", text)
		}
	})
}

// peek starts a program that says its number and waits for an address; closing feed ends it.
func (s stage) peek() (p *proc.Process, pid int, feed *os.File) {
	s.t.Helper()
	stdin, feed, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { stdin.Close(); feed.Close() })
	spec := s.spec(s.behave, "peek")
	spec.Stdin = stdin
	p = s.start(spec)
	return p, s.firstLinePid(p), feed
}

// TestFaultInOneVariant gives the program an address of the leader, as an attack would that knows its layout: it works
// natively, and monitored it faults in the follower before the output leaves.
func TestFaultInOneVariant(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		p, pid, feed := s.peek()
		fmt.Fprintf(feed, "%x\n", s.baseAddress(pid))
		r := p.Wait()
		first := fmt.Sprintf("%d\n", pid)
		if s.how.Variants == 0 {
			s.want(r, 0, first+"byte 127\n")
			return
		}
		s.want(r, statusDivergence, first)
		if !bytes.Contains(bytes.ToLower(r.Stderr), []byte("diverge")) {
			s.t.Errorf("no message about a divergence: %s", r)
		}
	})
}

// TestStoppedLeader stops the variant that works and lets it go on: time in which it is stopped is nobody's fault.
func TestStoppedLeader(t *testing.T) {
	const steps = 60
	nativelyAndMonitored(t, func(s stage) {
		spec := s.spec(s.behave, "count", strconv.Itoa(steps))
		spec.Attr = &syscall.SysProcAttr{Setsid: true} // a terminal would make it a job, which stops as a whole
		p := s.start(spec)
		pid := s.firstLinePid(p)
		if err := p.WaitOutput(10*time.Second, func(b []byte) bool { return bytes.Contains(b, []byte("\n10\n")) }); err != nil {
			s.t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			s.t.Fatalf("stop the leader, process %d: %v", pid, err)
		}
		time.Sleep(300 * time.Millisecond)
		stopped := len(p.Output())
		time.Sleep(1500 * time.Millisecond)
		if now := len(p.Output()); now != stopped {
			s.t.Errorf("%d bytes of output while the leader was stopped", now-stopped)
		}
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			s.t.Fatal(err)
		}
		var want strings.Builder
		fmt.Fprintln(&want, pid)
		for i := 1; i <= steps; i++ {
			fmt.Fprintln(&want, i)
		}
		s.want(p.Wait(), 0, want.String())
	})
}

// TestSignalled sends what was started each signal that is meant for the program, as a service manager does. SIGINT and SIGQUIT
// are among them: nothing here is a terminal's foreground job.
func TestSignalled(t *testing.T) {
	const realTime = syscall.Signal(40)
	nativelyAndMonitored(t, func(s stage) {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
			syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGPWR, realTime} {
			if signal.Ignored(sig) { // nohup, or a shell's `&`: then the program ignores it too
				continue
			}
			p := s.start(s.spec(s.behave, "count", "100000"))
			s.firstLinePid(p)
			if err := p.Signal(sig); err != nil {
				s.t.Fatal(err)
			}
			if r := p.Wait(); r.Status != 128+int(sig) {
				s.t.Errorf("%v: want status %d: %s", sig, 128+sig, r)
			}
		}
	})
}

// firstLinePid waits for the first line of output, the process ID that the program itself sees: the leader's.
func (s stage) firstLinePid(p *proc.Process) int {
	s.t.Helper()
	if err := p.WaitOutput(10*time.Second, func(b []byte) bool { return bytes.ContainsRune(b, '\n') }); err != nil {
		s.t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(p.Output()), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		s.t.Fatalf("the first line of output is no process ID: %v", err)
	}
	return pid
}

// baseAddress returns where the program lies in process pid.
func (s stage) baseAddress(pid int) uint64 {
	s.t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, s.behave+"\n") {
			continue
		}
		from, _, _ := strings.Cut(line, "-")
		addr, err := strconv.ParseUint(from, 16, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return addr
	}
	s.t.Fatalf("%s is not among the mappings of process %d:\n%s", s.behave, pid, maps)
	return 0
}
