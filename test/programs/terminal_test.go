package programs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

// terminal is a program on a pseudo-terminal of its own.
type terminal struct {
	stage
	*proc.Process
	side *os.File // the test's end
	mu   sync.Mutex
	seen bytes.Buffer
}

// onTerminal starts the program of spec as the leader of a session on a new terminal of 33 lines and 101 columns.
func (s stage) onTerminal(spec proc.Spec) *terminal {
	s.t.Helper()
	ptmx, tty, err := pty.Open()
	if err != nil {
		s.t.Fatal(err)
	}
	defer ptmx.Close()
	defer tty.Close()
	if err := pty.Setsize(ptmx, &pty.Winsize{Rows: 33, Cols: 101}); err != nil {
		s.t.Fatal(err)
	}
	fd, err := syscall.Dup(int(ptmx.Fd()))
	if err := errors.Join(err, syscall.SetNonblock(fd, true)); err != nil { // so that closing it does not wait for its reader
		s.t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	side := os.NewFile(uintptr(fd), ptmx.Name())
	s.t.Cleanup(func() { side.Close() })
	spec.Stdin, spec.Stdout, spec.Stderr = tty, tty, tty
	spec.Attr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	term := &terminal{stage: s, side: side, Process: s.start(spec)}
	go func() {
		block := make([]byte, 4096)
		for {
			n, err := side.Read(block)
			term.mu.Lock()
			term.seen.Write(block[:n])
			term.mu.Unlock()
			if err != nil {
				return // the terminal is closed, or nobody holds its other end any more
			}
		}
	}()
	return term
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.String()
}

// expect waits until the terminal shows what pattern matches.
func (t *terminal) expect(pattern string) {
	t.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if re.MatchString(t.text()) {
			return
		}
	}
	t.t.Fatalf("the terminal does not show %q, but\n%s", pattern, t.text())
}

func (t *terminal) enter(keys string) {
	t.t.Helper()
	if _, err := io.WriteString(t.side, keys); err != nil {
		t.t.Fatalf("type %q: %v; the terminal shows\n%s", keys, err, t.text())
	}
}

func (t *terminal) ends(status int) {
	t.t.Helper()
	if r := t.Wait(); r.Status != status || r.Expired {
		t.t.Errorf("want status %d: %s\nthe terminal shows\n%s", status, r, t.text())
	}
}

func TestInterruptOnce(t *testing.T) {
	const script = `
import signal, time
count = 0
def interrupted(number, frame):
    global count
    count += 1
signal.signal(signal.SIGINT, interrupted)
print("ready", flush=True)
while not count: time.sleep(0.01)
time.sleep(0.5)
print("count is", count, flush=True)
`
	nativelyAndMonitored(t, func(s stage) {
		term := s.onTerminal(s.spec("python3", "-c", script))
		term.expect("ready")
		term.enter("\x03")
		term.expect(`count is 1\r`)
		term.ends(0)
	})
}

func TestInterruptUnhandled(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		term := s.onTerminal(s.spec("cat"))
		term.enter("first\n")
		term.expect(`first\r\nfirst\r\n`)
		term.enter("\x03")
		term.ends(128 + 2)
	})
}

func TestTerminalInput(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		term := s.onTerminal(s.spec("cat"))
		term.enter("a line\n")
		term.expect(`a line\r\na line\r\n`)
		term.enter("\x04")
		term.ends(0)
	})
}

func TestWindowSize(t *testing.T) {
	const script = `
import os, signal, sys
print("terminal", [os.isatty(n) for n in range(3)], os.get_terminal_size())
signal.signal(signal.SIGWINCH, lambda n, f: print("changed", os.get_terminal_size(), flush=True))
print("ready", flush=True)
print("read", sys.stdin.readline())
`
	nativelyAndMonitored(t, func(s stage) {
		term := s.onTerminal(s.spec("python3", "-c", script))
		term.expect(`terminal \[True, True, True\] os.terminal_size\(columns=101, lines=33\)`)
		term.expect("ready")
		if err := pty.Setsize(term.side, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
			s.t.Fatal(err)
		}
		term.expect(`changed os.terminal_size\(columns=120, lines=40\)`)
		term.enter("end\n")
		term.expect("read end")
		term.ends(0)
	})
}

// onShell starts a shell with job control, which is not monitored itself.
func (s stage) onShell() *terminal {
	s.how.Variants = 0
	spec := s.spec("bash", "--norc", "--noprofile", "--noediting", "-i")
	spec.Env = append(spec.Env, "PS1=prompt> ")
	term := s.onTerminal(spec)
	term.expect(`prompt> $`)
	return term
}

// words is the program's command line for a shell.
func (s stage) words(argv ...string) string {
	words := s.spec(argv...).Argv
	for i, w := range words {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// TestBackgroundReader has a program in the background read from the terminal, which stops it, and brings it to the front: once.
func TestBackgroundReader(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		term := s.onShell()
		term.enter(s.words("cat") + " &\n")
		term.expect(`prompt> $`)
		for range 40 { // the shell says it at its next prompt
			time.Sleep(100 * time.Millisecond)
			term.enter("\n")
			if strings.Contains(term.text(), "Stopped") {
				break
			}
		}
		term.expect(`(?s)Stopped.*prompt> $`)
		term.enter("fg\n")
		term.expect(`fg\r\n[^\n]*cat'\r\n$`)
		time.Sleep(200 * time.Millisecond)
		term.enter("hello\n")
		term.expect(`hello\r\nhello\r\n$`)
		term.enter("\x04")
		term.expect(`prompt> $`)
		term.enter("exit 9\n")
		term.ends(9)
	})
}

// TestJobControl stops a program with Ctrl-Z under a shell and brings it back, twice.
func TestJobControl(t *testing.T) {
	const script = `print("program ready", flush=True); print("program got", input())`
	nativelyAndMonitored(t, func(s stage) {
		term := s.onShell()
		term.enter(s.words("python3", "-c", script) + "\n")
		term.expect(`\nprogram ready`)
		for i := 1; i <= 2; i++ {
			term.enter("\x1a")
			term.expect(fmt.Sprintf(`(?s)(Stopped.*){%d}prompt> $`, i))
			term.enter("fg\n")
			term.expect(`prompt> fg\r\n[^\n]*python3[^\n]*\n[^\n]*$`)
			// The shell gives the program the terminal back at about this time: what is typed now must reach it.
			time.Sleep(200 * time.Millisecond)
		}
		term.enter("hello\n")
		term.expect(`\nprogram got hello\r\nprompt> $`)
		term.enter("echo status is $?\n")
		term.expect(`\nstatus is 0\r`)
		term.expect(`prompt> $`)
		term.enter("exit 9\n")
		term.ends(9)
	})
}

// TestTerminalSettings: a program that cannot give the terminal's settings back, since its group was ended, has them given back;
// one that ends by itself leaves them as it likes.
func TestTerminalSettings(t *testing.T) {
	for _, c := range []struct {
		end    string
		status int
		left   string
	}{{"os.fork()", statusDivergence, "as found"}, {"os._exit(3)", 3, "raw"}} {
		inWays(t, []target.How{twoFull}, func(s stage) {
			program := s.words("python3", "-c", "import os, tty; tty.setraw(0); "+c.end)
			s.how = target.Native
			term := s.onTerminal(s.spec("bash", "-c", `found=$(stty -g); `+program+`; echo "status $?"
if [ "$(stty -g)" = "$found" ]; then echo left as found; else echo left raw; fi`))
			term.expect(fmt.Sprintf(`status %d\r?\n`, c.status))
			term.expect(`left ` + c.left + `\r?\n`)
			term.ends(0)
		})
	}
}

// stopsItself stops by SIGSTOP, as top does for Ctrl-Z and a shell for its command suspend.
const stopsItself = `import os, signal; ` +
	`[(print("program stops", i, flush=True), os.kill(os.getpid(), signal.SIGSTOP)) for i in range(2)]; ` +
	`print("program got", input())`

// TestStopsItself has a program stop itself under a shell, twice: the shell gets its terminal, and brings the program back.
func TestStopsItself(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		term := s.onShell()
		term.enter(s.words("python3", "-c", stopsItself) + "\n")
		term.expect(`(?s)\nprogram stops 0\r.*Stopped.*prompt> $`)
		time.Sleep(700 * time.Millisecond) // more than a look at who is late
		term.enter("fg\n")
		term.expect(`(?s)\nprogram stops 1\r.*Stopped.*prompt> $`)
		term.enter("fg\n")
		term.expect(`(?s)Stopped.*Stopped.*prompt> fg\r\n`)
		time.Sleep(200 * time.Millisecond)
		term.enter("hello\n")
		term.expect(`\nprogram got hello\r\nprompt> $`)
		term.enter("exit 9\n")
		term.ends(9)
	})
}

// TestStoppedWithoutTerminal has a program stop itself that is no shell's job: who continues it alone is enough.
func TestStoppedWithoutTerminal(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		spec := s.spec("python3", "-c", "import os; print(os.getpid(), flush=True); "+stopsItself)
		spec.Stdin = strings.NewReader("hello\n")
		spec.Attr = &syscall.SysProcAttr{Setsid: true}
		p := s.start(spec)
		pid := s.firstLinePid(p)
		for range 2 {
			s.untilStopped(pid)
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				s.t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		s.want(p.Wait(), 0, fmt.Sprintf("%d\nprogram stops 0\nprogram stops 1\nprogram got hello\n", pid))
	})
}

// TestStoppedWithoutShell is the same on a terminal that no shell shares: nothing there would continue monmod if it stopped too.
func TestStoppedWithoutShell(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		term := s.onTerminal(s.spec("python3", "-c", "import os; print('process', os.getpid(), flush=True); "+stopsItself))
		term.expect(`process \d+\r`)
		var pid int
		if _, err := fmt.Sscanf(term.text(), "process %d", &pid); err != nil {
			s.t.Fatal(err)
		}
		for range 2 {
			s.untilStopped(pid)
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				s.t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		term.enter("hello\n")
		term.expect(`\nprogram got hello\r`)
		term.ends(0)
	})
}

// untilStopped waits until a process is stopped.
func (s stage) untilStopped(pid int) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && bytes.Contains(stat, []byte(") T ")) {
			return
		}
	}
	s.t.Fatalf("process %d does not stop", pid)
}

// TestHangupWhileStopped takes the shell or the terminal away from a program that is stopped, by itself or by Ctrl-Z. The kernel
// continues it and tells it by SIGHUP; that nothing is left of it is the stage's to see.
func TestHangupWhileStopped(t *testing.T) {
	nativelyAndMonitored(t, func(s stage) {
		for _, away := range []func(*terminal){
			func(term *terminal) { term.Kill() },
			func(term *terminal) { term.side.Close() },
		} {
			for _, script := range []string{stopsItself, `print("program stops", flush=True); input()`} {
				term := s.onShell()
				term.enter(s.words("python3", "-c", script) + "\n")
				term.expect(`\nprogram stops`)
				if script != stopsItself {
					term.enter("\x1a")
				}
				term.expect(`(?s)Stopped.*prompt> $`)
				away(term)
				if r := term.Wait(); r.Expired {
					s.t.Errorf("the shell goes on: %s", r)
				}
			}
		}
	})
}
