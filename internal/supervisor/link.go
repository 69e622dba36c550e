package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
)

// link is the supervisor's end of one variant's control socket.
type link struct {
	conn *net.UnixConn
}

// maxDescriptors bounds what is taken with one message; HELLO brings one.
const maxDescriptors = 4

// sendTimeout bounds a send: a variant that does not read is not waited for.
const sendTimeout = 5 * time.Second

// newLink takes over a descriptor of a SOCK_SEQPACKET socket.
func newLink(fd int) (*link, error) {
	f := os.NewFile(uintptr(fd), "control socket")
	defer f.Close() // FileConn has its own copy
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("take over a control socket: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("take over a control socket: it is a %T", c), c.Close())
	}
	return &link{conn: u}, nil
}

// inbound is one message of a variant with the descriptors that came beside it, which its receiver must close.
type inbound struct {
	abi.Message
	fds []int
}

// receive waits for one message. io.EOF says that the variant's end is closed.
func (l *link) receive() (inbound, error) {
	buf := make([]byte, abi.MessageMax+1)
	oob := make([]byte, unix.CmsgSpace(4*maxDescriptors))
	n, oobn, flags, _, err := l.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return inbound{}, err
	}
	fds, err := descriptors(oob[:oobn])
	in := inbound{fds: fds}
	switch {
	case err != nil:
	case n == 0 && len(fds) == 0:
		err = io.EOF
	case n > abi.MessageMax, flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = fmt.Errorf("a message of more than %d bytes, or with more than %d descriptors", abi.MessageMax, maxDescriptors)
	default:
		in.Message, err = abi.ParseMessage(buf[:n:n])
	}
	if err != nil {
		in.drop()
		return inbound{}, err
	}
	return in, nil
}

// drop closes the descriptors that came with a message.
func (in *inbound) drop() {
	for _, fd := range in.fds {
		_ = unix.Close(fd) // they were the variant's idea, and nothing was written to them
	}
	in.fds = nil
}

func descriptors(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("control data beside a message: %w", err)
	}
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // credentials, for one
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

// send sends one message with copies of descriptors beside it.
func (l *link) send(typ uint16, body []byte, fds ...int) error {
	b, err := abi.AppendMessage(nil, typ, body)
	if err != nil {
		return err
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return fmt.Errorf("send %s: %w", abi.MessageName(typ), err)
	}
	if _, _, err := l.conn.WriteMsgUnix(b, oob, nil); err != nil {
		return fmt.Errorf("send %s: %w", abi.MessageName(typ), err)
	}
	return nil
}

func (l *link) close() {
	_ = l.conn.Close() // nothing is buffered; the descriptor is gone in any case
}

// socketPair makes a connected pair of SOCK_SEQPACKET sockets, close-on-exec.
func socketPair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return p[0], p[1], nil
}
