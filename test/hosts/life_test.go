package hosts

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/httpcheck"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/servers"
)

// The deadlines of the groups of these tests, and what else an end may take on a machine that does other things too.
const (
	peerTimeout = time.Second
	lag         = time.Second
	atMost      = time.Second
)

var limits = []string{"peer_timeout: 1s", "lag: 1s", "lag_wall: 30s", "start_timeout: 10s"}

// site makes every host's copy of what lighttpd serves.
func (w *world) site() servers.Site {
	w.t.Helper()
	site := servers.Site{Docs: w.seen("docs"), Run: w.seen("run"), Port: 8080}
	w.each(func(h *host) {
		w.must(servers.WriteDocs(filepath.Join(h.files, "docs")))
		w.file(h, "run/server.conf", servers.Lighttpd.Config(site))
	})
	return site
}

// listening waits for a server in a host's network.
func (w *world) listening(h *host, site servers.Site, p *proc.Process) {
	w.t.Helper()
	w.must(h.inside(func() error {
		for end := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.DialTimeout("tcp", site.Addr(), time.Second)
			if err == nil {
				return c.Close()
			}
			select {
			case <-p.Done():
				return fmt.Errorf("the server ended: %s", p.Wait())
			default:
			}
			if time.Now().After(end) {
				return err
			}
		}
	}))
}

// visit asks for pages on a connection that is kept and on new ones.
func (h *host) visit(site servers.Site) (lines []string, err error) {
	plan := httpcheck.Plan{Addr: site.Addr(), Deadline: soon, Requests: []httpcheck.Request{
		{Method: "GET", Path: "/" + servers.SmallPage}, {Method: "GET", Path: "/" + servers.LargePage},
		{Method: "HEAD", Path: "/" + servers.SmallPage}, {Method: "GET", Path: "/none"},
		{Method: "GET", Path: "/" + servers.LargePage, Header: []string{"Range: bytes=5000000-5000999"}},
		{Method: "GET", Path: "/" + servers.SmallPage, Header: []string{"Connection: close"}},
	}}
	err = h.inside(func() error {
		for range 3 {
			got, err := httpcheck.Visit(plan)
			lines = append(lines, got...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return lines, err
}

func TestServer(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, limits...)
	site := w.site()
	leader := w.hosts[0]
	argv := servers.Lighttpd.Argv(site)

	native := w.startSpec(w.spec(leader, argv...))
	w.listening(leader, site, native)
	expected, err := leader.visit(site)
	w.must(err)
	w.must(native.Signal(syscall.SIGTERM))
	want(t, "lighttpd itself", native.Wait(), 0)

	w.each(func(h *host) { w.must(os.RemoveAll(filepath.Join(h.files, "run/access.log"))) })
	b := w.start(w.hosts[1], argv...)
	a := w.start(leader, argv...)
	w.listening(leader, site, a)
	got, err := leader.visit(site)
	w.must(err)
	if !slices.Equal(got, expected) {
		t.Errorf("answers differ from those of lighttpd itself:\n%s", difference(expected, got))
	}
	w.must(a.Signal(syscall.SIGTERM))
	want(t, "leader", a.Wait(), 0)
	want(t, "follower", b.Wait(), 0)
	var logs []string
	w.each(func(h *host) {
		log, err := os.ReadFile(filepath.Join(h.files, "run/access.log"))
		w.must(err)
		logs = append(logs, string(log))
	})
	if logs[0] != logs[1] || strings.Count(logs[0], "\n") != len(expected) {
		t.Errorf("each host is to have the same log of %d requests: %q", len(expected), logs)
	}
}

// losses take one part of a group away while it serves; whoever is left ends in time and says who is lost.
var losses = []struct {
	name string
	take func(w *world, ps [2]*proc.Process, program [2]int) error
	left []int         // the hosts whose monmod ends by itself, from 0
	in   time.Duration // its deadline
	ends string        // 70: a program that ends alone is no loss, and this is who did it; "": 69, the other one is lost
}{
	{"the follower's supervisor", func(_ *world, ps [2]*proc.Process, _ [2]int) error { return ps[1].Signal(syscall.SIGKILL) }, []int{0}, 0, ""},
	{"the leader's supervisor", func(_ *world, ps [2]*proc.Process, _ [2]int) error { return ps[0].Signal(syscall.SIGKILL) }, []int{1}, 0, ""},
	{"the follower's supervisor and program", func(_ *world, ps [2]*proc.Process, program [2]int) error {
		err := errors.Join(ps[1].Signal(syscall.SIGKILL), syscall.Kill(program[1], syscall.SIGKILL))
		if errors.Is(err, syscall.ESRCH) { // the program does not outlive its supervisor for long
			return nil
		}
		return err
	}, []int{0}, 0, ""},
	{"the follower's program", func(_ *world, _ [2]*proc.Process, program [2]int) error {
		return syscall.Kill(program[1], syscall.SIGKILL)
	}, []int{0, 1}, lag, "variant 2 ended alone"},
	{"the leader's program", func(_ *world, _ [2]*proc.Process, program [2]int) error {
		return syscall.Kill(program[0], syscall.SIGKILL)
	}, []int{0, 1}, lag, "the leader ended alone"},
	{"the link", func(w *world, _ [2]*proc.Process, _ [2]int) error {
		w.native("ip", "-n", w.hosts[1].netns, "link", "set", "v2", "down")
		return nil
	}, []int{0, 1}, peerTimeout, ""},
	{"the follower's supervisor stops", func(_ *world, ps [2]*proc.Process, _ [2]int) error { return ps[1].Signal(syscall.SIGSTOP) }, []int{0}, peerTimeout, ""},
}

func TestLosses(t *testing.T) {
	needs(t)
	for _, c := range losses {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, tcp, limits...)
			site := w.site()
			argv := servers.Lighttpd.Argv(site)
			ps := [2]*proc.Process{w.start(w.hosts[0], argv...), w.start(w.hosts[1], argv...)}
			w.listening(w.hosts[0], site, ps[0])
			program := [2]int{w.program(ps[0]), w.program(ps[1])}
			load := w.startSpec(w.spec(w.hosts[0], "wrk", "-t1", "-c8", "-d20s", "http://"+site.Addr()+"/"+servers.SmallPage))
			time.Sleep(500 * time.Millisecond)
			began := time.Now()
			w.must(c.take(w, ps, program))
			for _, i := range c.left {
				<-ps[i].Done()
				if took := time.Since(began); took > c.in+atMost {
					t.Errorf("host %d ended after %v, allowed are %v", i+1, took, c.in+atMost)
				}
				status, word := 69, fmt.Sprintf("variant %d", 2-i)
				if c.ends != "" {
					status, word = 70, c.ends
				}
				want(t, fmt.Sprintf("host %d", i+1), ps[i].Wait(), status, word)
			}
			load.Kill()
			for i, p := range ps {
				p.Kill() // of the group only what was stopped is still there
				p.Wait()
				w.gone(fmt.Sprintf("program of host %d", i+1), program[i])
				if !slices.Contains(c.left, i) {
					w.native(w.spec(w.hosts[i], monmod, "ps").Argv...) // what a killed supervisor left is removed by whoever looks
				}
			}
		})
	}
}

// program is the process that a monmod runs.
func (w *world) program(p *proc.Process) int {
	w.t.Helper()
	for _, pid := range children(p.Pid()) {
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && !strings.HasPrefix(string(comm), "monmod") {
			return pid
		}
	}
	w.t.Fatalf("monmod, process %d, runs no program", p.Pid())
	return 0
}

// gone waits for the end of a process that is not a child of this one.
func (w *world) gone(who string, pid int) {
	w.t.Helper()
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		if time.Now().After(end) {
			w.t.Errorf("the %s, process %d, lives on", who, pid)
			w.must(syscall.Kill(pid, syscall.SIGKILL))
			return
		}
	}
}

// roles are what the two variants of test program role do.
var roles = []struct {
	leader, follower string
	status           int
	word             string // of the messages on both hosts
	stdout           string
}{
	{"plain", "plain", 0, "", "begin\nend\n"},
	{"exits", "exits", 5, "", "begin\n"},
	{"fault", "fault", 139, "", "begin\n"},
	{"plain", "fault", 70, "SIGSEGV", "begin\n"},
	{"fault", "plain", 70, "SIGSEGV", "begin\n"},
	{"plain", "other", 70, "both called write", "begin\n"},
	{"plain", "exits", 70, "exit_group", "begin\n"},
	{"plain", "spins", 70, "did not arrive", "begin\n"},
	{"spins", "plain", 70, "did not arrive", "begin\n"},
}

func TestRoles(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, append(limits, "rules: [{path: /**/role, data: differs}]")...)
	program, err := cprog.Glibc.Compile("c/role.c", w.base)
	w.must(err)
	for _, c := range roles {
		t.Run(c.leader+" "+c.follower, func(t *testing.T) {
			w.t = t
			w.file(w.hosts[0], "role", c.leader)
			w.file(w.hosts[1], "role", c.follower)
			for i, r := range w.run(program) {
				want(t, fmt.Sprintf("host %d", i+1), r, c.status, c.word)
				if i == 0 && string(r.Stdout) != c.stdout {
					t.Errorf("the leader's output is not %q: %s", c.stdout, r)
				}
			}
		})
	}
}

// A group that audits goes on with the leader's arguments, and without a follower that has read other data.
func TestAudit(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, append(limits, "on_divergence: audit", "rules: [{path: /**/role, data: differs}]")...)
	program, err := cprog.Glibc.Compile("c/role.c", w.base)
	w.must(err)
	for _, c := range []struct {
		name   string
		argv   []string
		stdout string
		status [2]int
		word   string // of the follower's report
	}{
		{"other argument", []string{program}, "begin\nend\n", [2]int{0, 0}, "both called write"},
		{"other data", []string{"cat", "data"}, "one\n", [2]int{0, 70}, "data has other data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.each(func(h *host) {
				w.must(os.RemoveAll(h.logs()))
				w.mkdir(h.logs())
				w.file(h, "role", []string{"plain", "other"}[h.id-1])
				w.file(h, "data", []string{"one\n", "two\n"}[h.id-1])
			})
			results := w.run(c.argv...)
			want(t, "leader", results[0], c.status[0])
			want(t, "follower", results[1], c.status[1])
			if got := string(results[0].Stdout); got != c.stdout {
				t.Errorf("the leader's output is %q", got)
			}
			if text := w.report(w.hosts[1]); !strings.Contains(text, c.word) {
				t.Errorf("the follower's report lacks %q:\n%s", c.word, text)
			}
		})
	}
}

// A program that is stopped is not late, whichever side it is on.
func TestStopped(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, append(limits, "rules: [{path: /**/role, data: differs}]")...)
	program, err := cprog.Glibc.Compile("c/role.c", w.base)
	w.must(err)
	for i := range w.hosts {
		t.Run(fmt.Sprintf("variant %d", i+1), func(t *testing.T) {
			w.t = t
			w.each(func(h *host) {
				w.file(h, "role", "works")
				w.must(os.RemoveAll(filepath.Join(h.files, "stop")))
			})
			ps := [2]*proc.Process{w.start(w.hosts[0], program), w.start(w.hosts[1], program)}
			w.must(ps[0].WaitOutput(soon, func(b []byte) bool { return string(b) == "begin\n" }))
			pid := w.program(ps[i])
			w.must(syscall.Kill(pid, syscall.SIGSTOP))
			time.Sleep(2*lag + peerTimeout)
			w.must(syscall.Kill(pid, syscall.SIGCONT))
			w.file(w.hosts[0], "stop", "")
			want(t, "leader", ps[0].Wait(), 0)
			want(t, "follower", ps[1].Wait(), 0)
		})
	}
}

// A signal to either side is the program's, once.
func TestSignals(t *testing.T) {
	needs(t)
	const script = `import signal, sys, time
n = 0
def f(*_):
    global n
    n += 1
signal.signal(signal.SIGTERM, f)
print("ready", flush=True)
while n < 2: signal.pause()
print(n)`
	w := newWorld(t, tcp, limits...)
	ps := [2]*proc.Process{w.start(w.hosts[0], "/usr/bin/python3", "-c", script), w.start(w.hosts[1], "/usr/bin/python3", "-c", script)}
	w.must(ps[0].WaitOutput(soon, func(b []byte) bool { return string(b) == "ready\n" }))
	w.must(ps[1].Signal(syscall.SIGTERM))
	time.Sleep(300 * time.Millisecond)
	w.must(ps[0].Signal(syscall.SIGTERM))
	for i, p := range ps {
		want(t, fmt.Sprintf("host %d", i+1), p.Wait(), 0)
	}
	if got := string(ps[0].Output()); got != "ready\n2\n" {
		t.Errorf("the leader's output is %q", got)
	}
}
