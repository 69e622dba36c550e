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
func listenHello(path string, mode os.FileMode) (*net.UnixListener, error) {
	at := &net.UnixAddr{Name: path, Net: "unixpacket"}
	if c, err := net.DialUnix("unixpacket", nil, at); err == nil {
		_ = c.Close() // only somebody's being there counted
		return nil, fmt.Errorf("make the socket %s: another supervisor serves it: end that one first", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	l, err := net.ListenUnix("unixpacket", at)
	if err != nil {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("make the socket %s: %w", path, err), l.Close())
	}
	return l, nil
}

// adopt waits until the process of v comes to l and says hello with v's token. Who comes without it is sent away and noted.
func (s *session) adopt(ctx context.Context, v *variant, l *net.UnixListener) error {
	defer context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })()
	for range maxCallers {
		c, err := l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return failf(ExitDivergence, "wait for the program of variant %d: %w", v.id, err)
		}
		err = s.admit(v, c)
		if err == nil {
			s.attend(v)
			return nil
		}
		_ = c.Close() // it was told nothing and owes nothing
		s.tell("stranger", v.id, fmt.Sprintf("somebody at the socket is not the variant: %v", err))
	}
	return failf(ExitDivergence, "%d callers were not variant %d: its program, or another in its container, may be under attack", maxCallers, v.id)
}

// admit takes one caller as v if it has the token.
func (s *session) admit(v *variant, c *net.UnixConn) error {
	cred, err := credentials(c)
	if err != nil {
		return err
	}
	pidfd, err := unix.PidfdOpen(int(cred.Pid), 0)
	if err != nil {
		return fmt.Errorf("process %d: %w", cred.Pid, err)
	}
	l := &link{conn: c}
	in, err := l.receiveWithin(strangerTime)
	var hello abi.Hello
	if err == nil && in.Type == abi.MsgHello {
		_, err = abi.Decode(in.Body, &hello)
	}
	if err == nil && (in.Type != abi.MsgHello || subtle.ConstantTimeCompare(hello.Token[:], v.token[:]) != 1) {
		err = fmt.Errorf("process %d of user %d said no hello with the right token", cred.Pid, cred.Uid)
	}
	if err == nil && v.pid != 0 && v.pid != int(cred.Pid) {
		err = fmt.Errorf("process %d has the token of process %d", cred.Pid, v.pid)
	}
	if err != nil {
		in.drop()
		closeAll(pidfd)
		return err
	}
	if v.pidfd >= 0 {
		closeAll(v.pidfd)
	}
	v.link, v.pid, v.pidfd, v.pending = l, int(cred.Pid), pidfd, []inbound{in}
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
	if err := privateDir(filepath.Dir(socket)); err != nil {
		return ExitConfig, fmt.Errorf("make the folder of the variant's socket: %w", err)
	}
	l, err := listenHello(socket, 0o600)
	if err != nil {
		return ExitConfig, err
	}
	defer func() { _ = l.Close() }() // closed when the program has come
	s := newSession(opts.Group, "(started elsewhere)", nil, opts.Logger)
	if opts.patience > 0 {
		s.patience = opts.patience
	}
	v := newVariant(opts.ID, slotOf(opts.Group, opts.ID), placeOf(opts.Group, opts.ID))
	s.variants, s.peers = []*variant{v}, &peers{remote: make(map[int]*remote)}
	return s.run(ctx, func() error {
		if opts.Waiting != nil {
			opts.Waiting(socket)
		}
		err := s.adopt(ctx, v, l)
		return errors.Join(err, l.Close())
	})
}

// HelloSocket is where a program with MONMOD_ID and MONMOD_CONFIG finds its supervisor: the library computes the same. It
// lies in /run/monmod for root, else in $XDG_RUNTIME_DIR/monmod, and its name is the SipHash-2-4-128 (key zero, hexadecimal)
// of the file's real path, a NUL, and the ID in decimal, with ".sock" behind.
func HelloSocket(file string, id int) (string, error) {
	if os.Geteuid() != 0 && os.Getenv("XDG_RUNTIME_DIR") == "" {
		return "", errors.New("find the socket of the variant: XDG_RUNTIME_DIR is not set: set it for the supervisor and for the program, to a folder of your own")
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
