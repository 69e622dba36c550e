package supervisor

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dchest/siphash"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

// A variant that something else starts comes to a socket. What it then says is HELLO, as on an inherited one.

// strangerTime is how long a caller may take to say who it is.
const strangerTime = 2 * time.Second

// maxCallers bounds those who say hello with a wrong token: after so many the group does not start.
const maxCallers = 64

// listenHello makes the socket to which a variant comes. A socket that a supervisor left behind that was killed is replaced.
// The path may be longer than a socket's address. The caller removes the file.
func listenHello(path string, mode os.FileMode) (*net.UnixListener, error) {
	fail := func(err error) (*net.UnixListener, error) {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	at := &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), Net: "unixpacket"}
	if c, err := net.DialUnix("unixpacket", nil, at); err == nil {
		_ = c.Close() // only somebody's being there counted
		return fail(errors.New("another supervisor serves it: end that one first"))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	l, err := net.ListenUnix("unixpacket", at)
	if err != nil {
		return fail(err)
	}
	l.SetUnlinkOnClose(false) // its name is relative to a descriptor that is closed
	if err := os.Chmod(path, mode); err != nil {
		return fail(errors.Join(err, l.Close()))
	}
	return l, nil
}

// arrival is a variant's process that has come and shown its token.
type arrival struct {
	v     *variant
	link  *link
	pid   int
	pidfd int
	in    inbound // its HELLO
	err   error   // nobody came
}

func (a *arrival) drop() {
	if a.link != nil {
		a.in.drop()
		a.link.close()
		closeAll(a.pidfd)
	}
}

// expected is who may come to a socket.
type expected struct {
	v     *variant
	token [abi.TokenBytes]byte
	pid   int // 0: not known before
}

// callers waits until the process comes to l that is expected. Who comes without the token is sent away and noted. The
// listener's deadline is what ends it.
func (s *session) callers(l *net.UnixListener, want expected) arrival {
	for range maxCallers {
		c, err := l.AcceptUnix()
		if err != nil {
			return arrival{v: want.v, err: fmt.Errorf("wait for the program of variant %d: %w", want.v.id, err)}
		}
		a, err := want.admit(c)
		if err == nil {
			return a
		}
		_ = c.Close() // it was told nothing and owes nothing
		s.post(event{call: func() {
			s.tell("stranger", want.v.id, fmt.Sprintf("somebody at the socket is not the variant: %v", err))
		}})
	}
	return arrival{v: want.v, err: fmt.Errorf("%d callers were not variant %d: another process of its container may be under attack", maxCallers, want.v.id)}
}

// admit takes one caller if it has the token.
func (want expected) admit(c *net.UnixConn) (arrival, error) {
	cred, err := credentials(c)
	if err != nil {
		return arrival{}, err
	}
	if want.pid != 0 && want.pid != int(cred.Pid) {
		return arrival{}, fmt.Errorf("process %d is not process %d", cred.Pid, want.pid)
	}
	pidfd, err := unix.PidfdOpen(int(cred.Pid), 0)
	if err != nil {
		return arrival{}, fmt.Errorf("process %d: %w", cred.Pid, err)
	}
	a := arrival{v: want.v, link: &link{conn: c}, pid: int(cred.Pid), pidfd: pidfd}
	a.in, err = a.link.receiveWithin(strangerTime)
	var hello abi.Hello
	if err == nil {
		_, err = abi.Decode(a.in.Body, &hello)
	}
	if err != nil || a.in.Type != abi.MsgHello || subtle.ConstantTimeCompare(hello.Token[:], want.token[:]) != 1 {
		a.in.drop()
		closeAll(pidfd)
		return arrival{}, fmt.Errorf("process %d of user %d said no hello with the right token (%w)", cred.Pid, cred.Uid, err)
	}
	return a, nil
}

// take makes what has come the variant's.
func (s *session) take(a arrival) error {
	if a.err != nil {
		return &Failure{Code: ExitDivergence, Err: a.err}
	}
	v := a.v
	v.link, v.pid, v.pending = a.link, a.pid, []inbound{a.in}
	if v.pidfd < 0 {
		v.pidfd = a.pidfd
	} else {
		closeAll(a.pidfd)
	}
	if s.hasLog(v) {
		v.stderr = stderrOf(v.pidfd)
	}
	s.attend(v)
	return nil
}

func (l *link) receiveWithin(limit time.Duration) (inbound, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return inbound{}, err
	}
	in, err := l.receive()
	if err == nil {
		err = l.conn.SetReadDeadline(time.Time{})
	}
	return in, err
}

func credentials(c *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("see who connects: %w", err)
	}
	var inner error
	err = raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, inner); err != nil {
		return nil, fmt.Errorf("see who connects: %w", err)
	}
	if cred.Pid <= 0 {
		return nil, errors.New("the caller's process is not visible from here: it is in another PID namespace")
	}
	return cred, nil
}

// SuperviseOptions name a variant that something else starts.
type SuperviseOptions struct {
	Group  *config.Group
	ID     int
	Config string // path of the group's file, as MONMOD_CONFIG names it
	Logger *logrus.Logger
	// Waiting is called when the program may be started.
	Waiting func(socket string)

	patience time.Duration
}

// Supervise waits for a program that is started as
//
//	LD_PRELOAD=libmonmod.so MONMOD_ID=N MONMOD_CONFIG=FILE PROGRAM
//
// and serves it as one variant of its group until it ends. Code and error are as Run's.
func Supervise(ctx context.Context, opts SuperviseOptions) (code int, err error) {
	socket, err := HelloSocket(opts.Config, opts.ID)
	if err != nil {
		return ExitConfig, err
	}
	if err := enoughFiles(len(opts.Group.Variants)); err != nil {
		return ExitConfig, err
	}
	if err := privateDir(filepath.Dir(socket)); err != nil {
		return ExitConfig, fmt.Errorf("make the folder of the variant's socket: %w", err)
	}
	l, err := listenHello(socket, 0o600)
	if err != nil {
		return ExitConfig, err
	}
	defer func() {
		_ = l.Close() // already, when the program has come
		_ = os.Remove(socket)
	}()
	s := newSession(opts.Group, "(started elsewhere)", nil, opts.Logger)
	s.adopted = true
	if opts.patience > 0 {
		s.patience = opts.patience
	}
	v := newVariant(opts.ID, slotOf(opts.Group, opts.ID), placeOf(opts.Group, opts.ID))
	s.variants, s.peers = []*variant{v}, &peers{remote: make(map[int]*remote)}
	return s.run(ctx, func(ctx context.Context) error {
		if opts.Waiting != nil {
			opts.Waiting(socket)
		}
		if err := l.SetDeadline(time.Now().Add(opts.Group.StartTimeout)); err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })()
		came := make(chan arrival, 1)
		go func() { came <- s.callers(l, expected{v: v, token: v.token}) }()
		for {
			select {
			case e := <-s.events:
				if err := s.before(e); err != nil {
					return err
				}
			case a := <-came:
				if ctx.Err() != nil {
					a.drop()
					return failf(codeOfEnd(ctx), "no program came for variant %d: %w", v.id, context.Cause(ctx))
				}
				if errors.Is(a.err, os.ErrDeadlineExceeded) {
					return failf(ExitPeerLost, "no program came for variant %d within start_timeout (%v): start it with LD_PRELOAD=libmonmod.so MONMOD_ID=%d MONMOD_CONFIG=%s", v.id, opts.Group.StartTimeout, v.id, opts.Config)
				}
				return errors.Join(s.take(a), l.Close())
			}
		}
	})
}

// Signalled is the cause of a context that a signal to the supervisor has cancelled.
type Signalled unix.Signal

func (s Signalled) Error() string {
	return fmt.Sprintf("the supervisor was ended by signal %d (%s)", int(s), unix.SignalName(unix.Signal(s)))
}

// codeOfEnd is the exit code of a supervisor that is ended before there is a program: a signal's, as a shell shows it.
func codeOfEnd(ctx context.Context) int {
	var by Signalled
	if errors.As(context.Cause(ctx), &by) {
		return 128 + int(by)
	}
	return ExitDivergence
}

// maxRuntimeDir is the longest XDG_RUNTIME_DIR, in bytes, from which the library makes a socket's address.
const maxRuntimeDir = 60

// HelloSocket is where a program with MONMOD_ID and MONMOD_CONFIG finds its supervisor: the library computes the same. It
// lies in /run/monmod for root, else in $XDG_RUNTIME_DIR/monmod, and its name is the SipHash-2-4-128 (key zero, hexadecimal)
// of the file's real path, a NUL, and the ID in decimal, with ".sock" behind.
func HelloSocket(file string, id int) (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); os.Geteuid() != 0 && (!filepath.IsAbs(dir) || len(dir) > maxRuntimeDir) {
		return "", fmt.Errorf("find the socket of the variant: XDG_RUNTIME_DIR is %q: set it for the supervisor and for the program, to a folder of your own whose path begins with / and has at most %d bytes", dir, maxRuntimeDir)
	}
	path, err := filepath.Abs(file)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("find the socket of the variant: %w", err)
	}
	low, high := siphash.Hash128(0, 0, []byte(path+"\x00"+strconv.Itoa(id)))
	digest := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, low), high)
	return filepath.Join(control.StateDir(), hex.EncodeToString(digest)+".sock"), nil
}
