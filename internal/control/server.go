package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Handler is what a supervisor does for each operation. Its methods are called
// from several goroutines. An error is told to the caller in its own words.
type Handler interface {
	// Init gives the pid of the container's init, from the createRuntime hook.
	// It comes again, with the same pid, where two hooks call.
	Init(pid int) error
	// Start says that the engine called start: the time to say hello begins.
	Start() error
	// Kill says that signal is about to be sent to the leader.
	Kill(signal unix.Signal) error
	// Pause freezes what the engine does not: the followers.
	Pause() error
	Resume() error
	// Update applies linux.resources (JSON) to the followers.
	Update(resources json.RawMessage) error
	// Exec records that an engine executes args inside the container.
	Exec(args []string) error
	// Stopped says that the container is gone. It returns when the followers
	// are gone too; the supervisor ends itself after the answer.
	Stopped() error
	Status() (*Status, error)
}

// Bounds of a server. Engines connect for one request each.
const (
	maxConnections = 32
	idleTimeout    = 30 * time.Second
	writeTimeout   = 10 * time.Second
)

// Listen makes the socket at path, mode 0600. It replaces the socket of a
// process that is gone, and refuses where somebody answers. The length of path
// is not limited to what a socket address holds. The caller removes the file.
func Listen(path string) (*net.UnixListener, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	defer dir.Close()
	short := throughDir(dir, path)
	if c, err := net.DialTimeout("unix", short, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("make the socket %s: another process serves it: end that one first", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	// The name is relative to a descriptor that is closed below.
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	return l, nil
}

// throughDir names path by way of its opened folder: a socket address holds
// 107 bytes, and a container's ID alone may have more.
func throughDir(dir *os.File, path string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
}

// Serve answers requests until l is closed, and returns when every request
// that had begun is answered.
func Serve(l *net.UnixListener, h Handler) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxConnections)
	for {
		slots <- struct{}{}
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// Out of descriptors, most likely: those who wait are served later.
			<-slots
			time.Sleep(10 * time.Millisecond)
			continue
		}
		wg.Go(func() {
			defer func() { c.Close(); <-slots }()
			serveConn(c, h)
		})
	}
}

func serveConn(c *net.UnixConn, h Handler) {
	if err := checkPeer(c); err != nil {
		reply(c, &Response{Error: err.Error()})
		return
	}
	lines := bufio.NewScanner(c)
	lines.Buffer(make([]byte, 0, 4096), MaxMessage)
	for {
		_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
		if !lines.Scan() {
			if errors.Is(lines.Err(), bufio.ErrTooLong) {
				reply(c, &Response{Error: fmt.Sprintf("a control request of more than %d bytes", MaxMessage)})
			}
			return
		}
		if !reply(c, answer(h, lines.Bytes())) {
			return
		}
	}
}

func answer(h Handler, line []byte) *Response {
	r, err := parseRequest(line)
	if err != nil {
		return &Response{Error: err.Error()}
	}
	res := &Response{}
	switch r.Op {
	case OpPing:
	case OpInit:
		err = h.Init(r.Pid)
	case OpStart:
		err = h.Start()
	case OpKill:
		err = h.Kill(unix.Signal(r.Signal))
	case OpPause:
		err = h.Pause()
	case OpResume:
		err = h.Resume()
	case OpUpdate:
		err = h.Update(r.Resources)
	case OpExec:
		err = h.Exec(r.Args)
	case OpStopped:
		err = h.Stopped()
	case OpStatus:
		res.Status, err = h.Status()
	default:
		err = fmt.Errorf("unknown control operation %q: runtime and supervisor are of different versions", r.Op)
	}
	if err != nil {
		return &Response{Error: err.Error()}
	}
	res.OK = true
	return res
}

func reply(c *net.UnixConn, r *Response) bool {
	data, err := json.Marshal(r)
	if err == nil && len(data) >= MaxMessage {
		err = fmt.Errorf("an answer of %d bytes", len(data))
	}
	if err != nil {
		data, _ = json.Marshal(&Response{Error: "encode the answer: " + err.Error()})
	}
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err = c.Write(append(data, '\n'))
	return err == nil
}

// checkPeer lets in root and the user that this process runs as.
func checkPeer(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("see who connects: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, credErr); err != nil {
		return fmt.Errorf("see who connects: %w", err)
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("user %d may not control this group: ask as root", cred.Uid)
	}
	return nil
}
