package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what sun_path holds, without its final zero.
const maxSocketPath = 107

func checkSocketPath(path string) error {
	switch {
	case !filepath.IsAbs(path) || filepath.Clean(path) != path || strings.ContainsRune(path, 0):
		return fmt.Errorf("socket %q: give an absolute path with no dots to resolve", path)
	case len(path) > maxSocketPath:
		return fmt.Errorf("socket %q: a path of %d bytes, the kernel takes %d: use a shorter state folder or group name", path, len(path), maxSocketPath)
	}
	return nil
}

// listenUnix makes the socket in a directory of this user's own. A socket file left behind by a process that was killed is replaced; one that
// still answers is not.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the folder for the socket %s: %w", path, err)
	}
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	unlock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("making the socket for other variants: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, fmt.Errorf("closing the socket %s to other users: %w", path, err)
	}
	return ln, nil
}

// checkPrivate refuses a directory that somebody else can enter, or can replace by way of one above it.
func checkPrivate(dir string) error {
	uid := os.Geteuid()
	for at := dir; ; at = filepath.Dir(at) {
		var st unix.Stat_t
		if err := unix.Lstat(at, &st); err != nil {
			return fmt.Errorf("checking who owns %s: %w", at, err)
		}
		sticky := st.Mode&unix.S_ISVTX != 0
		switch {
		case at == dir && st.Mode&unix.S_IFMT != unix.S_IFDIR:
			return fmt.Errorf("the folder %s for the sockets of variants is not a folder: remove it", dir)
		case at == dir && (int(st.Uid) != uid || st.Mode&0o077 != 0):
			return fmt.Errorf("the folder %s for the sockets of variants belongs to user %d with mode %04o: it must belong to user %d with mode 0700",
				dir, st.Uid, st.Mode&0o7777, uid)
		case int(st.Uid) != uid && st.Uid != 0:
			return fmt.Errorf("%s, above the sockets of variants, belongs to user %d, who could replace them: use a folder below one of root's or your own", at, st.Uid)
		case at != dir && st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&0o022 != 0 && !sticky:
			return fmt.Errorf("%s, above the sockets of variants, can be written by other users (mode %04o): use another folder", at, st.Mode&0o7777)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// lockDir keeps two starting supervisors from removing each other's sockets. It is held for the moment of the making alone, and leaves no file.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the folder %s: %w", dir, err)
	}
	for pause := newBackoff(); ; {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { unix.Close(fd) }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			unix.Close(fd)
			return nil, fmt.Errorf("locking the folder %s: %w", dir, err)
		}
		if !pause.wait(ctx) {
			unix.Close(fd)
			return nil, fmt.Errorf("locking the folder %s: another process holds it: %w", dir, context.Cause(ctx))
		}
	}
}

func removeStale(path string) error {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return fmt.Errorf("looking at the socket %s: %w", path, err)
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return fmt.Errorf("%s is in the place of the socket for other variants and is none: remove it", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("another supervisor already listens at %s: this variant is running, start each variant once", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket %s that a killed supervisor left: %w", path, err)
	}
	return nil
}

// checkUser asks the kernel who is at the other end of a unix socket: this user or root, nobody else.
func checkUser(conn net.Conn) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return fmt.Errorf("asking the kernel who is at the other end: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return fmt.Errorf("asking the kernel who is at the other end: %w", err)
	}
	if int(cred.Uid) != os.Geteuid() && cred.Uid != 0 {
		return fmt.Errorf("user %d is at the other end (process %d), only user %d and root may be: run all variants of a host as one user", cred.Uid, cred.Pid, os.Geteuid())
	}
	return nil
}
