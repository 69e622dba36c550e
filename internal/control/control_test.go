package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recorder answers as a supervisor would and keeps what it was told.
type recorder struct {
	mu   sync.Mutex
	said []string
	fail error
}

func (r *recorder) note(format string, args ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
	return r.fail
}

func (r *recorder) Init(pid int) error               { return r.note("init %d", pid) }
func (r *recorder) Start() error                     { return r.note("start") }
func (r *recorder) Kill(s unix.Signal) error         { return r.note("kill %d", s) }
func (r *recorder) Pause() error                     { return r.note("pause") }
func (r *recorder) Resume() error                    { return r.note("resume") }
func (r *recorder) Update(res json.RawMessage) error { return r.note("update %s", res) }
func (r *recorder) Exec(args []string) error         { return r.note("exec %q", args) }
func (r *recorder) Stopped() error                   { return r.note("stopped") }
func (r *recorder) Status() (*Status, error) {
	return &Status{Group: "web", Variants: []VariantStatus{{ID: 1, Role: "leader"}}}, r.note("status")
}

// serve runs a server for one test and returns its socket.
func serve(t *testing.T, h Handler) string {
	t.Helper()
	// Longer than a socket address, as with a long container ID.
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, SocketFile)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(l, h) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestOperations(t *testing.T) {
	h := &recorder{}
	path := serve(t, h)
	c, err := DialPath("test", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	for _, err := range []error{
		c.Ping(ctx), c.Init(ctx, 42), c.Start(ctx), c.Kill(ctx, unix.SIGTERM), c.Pause(ctx), c.Resume(ctx),
		c.Update(ctx, json.RawMessage(`{"pids":{"limit":5}}`)), c.Exec(ctx, []string{"sh", "-c", "x"}), c.Stopped(ctx),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	s, err := c.Status(ctx)
	if err != nil || s.Group != "web" || len(s.Variants) != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
	want := `init 42|start|kill 15|pause|resume|update {"pids":{"limit":5}}|exec ["sh" "-c" "x"]|stopped|status`
	if got := strings.Join(h.said, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	h.fail = errors.New("no such cgroup")
	if err := c.Pause(ctx); err == nil || !strings.Contains(err.Error(), "refused pause: no such cgroup") || errors.Is(err, ErrUnreachable) {
		t.Errorf("refusal: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	path := serve(t, &recorder{})
	for _, c := range []struct{ name, line, want string }{
		{"no JSON", "hello", "read a control request"},
		{"unknown operation", `{"op":"dance"}`, `unknown control operation \"dance\"`},
		{"unknown field", `{"op":"ping","x":1}`, "unknown field"},
		{"init without pid", `{"op":"init"}`, "init with pid 0"},
		{"kill without signal", `{"op":"kill"}`, "kill with signal 0"},
		{"kill with a huge signal", `{"op":"kill","signal":70}`, "kill with signal 70"},
		{"update without resources", `{"op":"update"}`, "update without resources"},
		{"two on a line", `{"op":"ping"}{"op":"ping"}`, "more than one"},
		{"too long", `{"op":"` + strings.Repeat("p", MaxMessage), "more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.Open(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			conn, err := net.Dial("unix", throughDir(dir, path))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			// The server may close before it has read all of a line that is too long.
			go conn.Write([]byte(c.line + "\n"))
			buf := make([]byte, 4096)
			n, err := conn.Read(buf)
			if err != nil || !strings.Contains(string(buf[:n]), c.want) || !strings.Contains(string(buf[:n]), `"ok":false`) {
				t.Errorf("answer %q (%v), want %q", buf[:n], err, c.want)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SocketFile)
	if _, err := DialPath("container x", path); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), path) {
		t.Errorf("no socket: %v", err)
	}
	if _, err := Dial("../x"); err == nil || errors.Is(err, ErrUnreachable) {
		t.Errorf("bad ID: %v", err)
	}
	// A supervisor that hangs is left at the deadline.
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := DialPath("container x", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("hanging: %v", err)
	}
}

func TestListenTakesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketFile)
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another process serves it") {
		t.Errorf("second listener: %v", err)
	}
	first.Close()
	again, err := Listen(path)
	if err != nil {
		t.Fatalf("after its end: %v", err)
	}
	again.Close()
}

// TestOtherUser: nobody but root and the supervisor's own user is answered.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	if path := os.Getenv("MONMOD_TEST_SOCKET"); path != "" {
		if err := syscall.Setreuid(65534, 65534); err != nil {
			t.Fatal(err)
		}
		c, err := DialPath("test", path)
		if err != nil {
			// The server may be a process of the very user that is refused.
			t.Fatalf("connect: %v", err)
		}
		defer c.Close()
		if err := c.Ping(context.Background()); err == nil || !strings.Contains(err.Error(), "user 65534 may not control this group") {
			t.Fatalf("ping: %v", err)
		}
		return
	}
	dir, err := os.MkdirTemp("/tmp", "control")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, SocketFile)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	go Serve(l, &recorder{})
	defer l.Close()
	for p, mode := range map[string]os.FileMode{dir: 0o755, path: 0o666} {
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.StartProcess("/proc/self/exe", []string{"test", "-test.run=^TestOtherUser$"},
		&os.ProcAttr{Env: append(os.Environ(), "MONMOD_TEST_SOCKET="+path), Files: []*os.File{nil, os.Stdout, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	if state, err := self.Wait(); err != nil || !state.Success() {
		t.Errorf("as user 65534: %v, %v", state, err)
	}
}

func examplePlan(id string) *Plan {
	return &Plan{
		Version: PlanVersion, Container: id, Root: "/run/runc", Bundle: "/b", Command: "create", Runtime: LowLevel{Path: "/usr/sbin/runc"},
		Mode: ModeVariants, Variants: 2, Variant: 1, Inject: InjectLaunch, Exec: ExecAllow,
		Process: Process{Args: []string{"/bin/true"}, Env: []string{"A=b"}, Cwd: "/"},
		Library: "/usr/lib/monmod/libmonmod.so", Token: strings.Repeat("0a", 32), Dev: ContainerDir(id) + "/dev",
		Followers: []Follower{{ID: 2, Container: id + ".2", Bundle: ContainerDir(id) + "/follower-2", Token: strings.Repeat("0b", 32)}},
	}
}

func TestPlan(t *testing.T) {
	id := fmt.Sprintf("control-test-%d", os.Getpid())
	p := examplePlan(id)
	if err := os.MkdirAll(p.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(p.Dir())
	if _, err := LoadPlan(id); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before it is written: %v", err)
	}
	if err := p.Write(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(p.Dir(), PlanFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := p.Write(); err == nil {
		t.Error("a plan was written over another")
	}
	got, err := LoadPlan(id)
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", p) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, p)
	}
}

func TestPlanRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Plan)
		want   string
	}{
		{"other version", func(p *Plan) { p.Version = 2 }, "plan of version 2"},
		{"mode", func(p *Plan) { p.Mode = "both" }, "unknown mode"},
		{"followers", func(p *Plan) { p.Variants = 3 }, "1 followers for 3 variants"},
		{"relative", func(p *Plan) { p.Library = "libmonmod.so" }, `library "libmonmod.so" is not an absolute path`},
		{"token", func(p *Plan) { p.Token = strings.Repeat("x", 64) }, "64 hexadecimal digits"},
		{"follower's token", func(p *Plan) { p.Followers[0].Token = "" }, "64 hexadecimal digits"},
		{"follower's bundle", func(p *Plan) { p.Followers[0].Bundle = p.Dir() + "/../y" }, "lies outside"},
		{"no program", func(p *Plan) { p.Process.Args = nil }, "no program"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := examplePlan("x")
			c.change(p)
			data, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parsePlan(data); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{`{"op":"ping"}`, `{"op":"init","pid":7}`, `{"op":"update","resources":{}}`, `{"op":"exec","args":["a"]}`, `{`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRequest(line)
		if err != nil {
			return
		}
		// What was accepted is accepted again in the form a client sends it.
		out, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseRequest(out); err != nil {
			t.Fatalf("%q became %q: %v", line, out, err)
		}
	})
}

func FuzzPlan(f *testing.F) {
	data, err := json.Marshal(examplePlan("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := parsePlan(data); err == nil && CheckID(p.Container) != nil {
			t.Fatalf("accepted the name %q", p.Container)
		}
	})
}
