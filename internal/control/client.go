package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrUnreachable is in the error of a client whose supervisor does not answer,
// as opposed to one that answers with a refusal.
var ErrUnreachable = errors.New("the supervisor does not answer")

// How long a client waits for an answer, where its context has no deadline. For what is done with the low-level runtime it
// is longer than the supervisor takes at most: what a client has given up on would be done all the same.
const (
	DefaultTimeout = 10 * time.Second
	runtimeTimeout = RuntimeLimit + 5*time.Second
	stopTimeout    = StopLimit + 5*time.Second
)

// timeout is for the answer to one operation.
func (o Op) timeout() time.Duration {
	switch o {
	case OpInit, OpStart, OpPause, OpResume, OpUpdate:
		return runtimeTimeout
	case OpStopped:
		return stopTimeout
	}
	return DefaultTimeout
}

// Client is one connection to a supervisor. It is not for several goroutines.
type Client struct {
	name  string
	conn  *net.UnixConn
	lines *bufio.Scanner
}

// Dial connects to the supervisor of a container.
func Dial(id string) (*Client, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	return DialPath("container "+id, filepath.Join(ContainerDir(id), SocketFile))
}

// DialPath connects to the supervisor that serves path; name stands in errors.
func DialPath(name, path string) (*Client, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrUnreachable, err)
	}
	defer dir.Close()
	c, err := net.DialTimeout("unix", throughDir(dir, path), DefaultTimeout)
	if err != nil {
		// The address in net's error is a descriptor's; path says more.
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("%s: %w: connect to %s: %w", name, ErrUnreachable, path, err)
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s: %w: %s is no unix socket", name, ErrUnreachable, path)
	}
	if err := checkPeer(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: connect to %s: %w", name, path, err)
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 0, 4096), MaxMessage)
	return &Client{name: name, conn: conn, lines: lines}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Do sends one request and returns the answer. A refusal is an error.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("%s: encode the request %s: %w", c.name, r.Op, err)
	}
	if len(data) >= MaxMessage {
		return nil, fmt.Errorf("%s: the request %s has %d bytes, at most %d are allowed", c.name, r.Op, len(data), MaxMessage-1)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(r.Op.timeout())
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.name, ErrUnreachable, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// A supervisor that refuses the caller says so and closes, perhaps before it was asked anything: its words count.
	_, unsent := c.conn.Write(append(data, '\n'))
	if !c.lines.Scan() {
		if unsent != nil {
			return nil, fmt.Errorf("%s: %w: send %s: %w", c.name, ErrUnreachable, r.Op, unsent)
		}
		err := c.lines.Err()
		if err == nil {
			err = errors.New("it closed the connection")
		}
		return nil, fmt.Errorf("%s: %w: wait for the answer to %s: %w", c.name, ErrUnreachable, r.Op, err)
	}
	res := new(Response)
	if err := json.Unmarshal(c.lines.Bytes(), res); err != nil {
		return nil, fmt.Errorf("%s: read the answer to %s: %w", c.name, r.Op, err)
	}
	if !res.OK {
		return nil, fmt.Errorf("%s: the supervisor refused %s: %s", c.name, r.Op, res.Error)
	}
	return res, nil
}

func (c *Client) do(ctx context.Context, r *Request) error {
	_, err := c.Do(ctx, r)
	return err
}

// Ping asks whether the supervisor serves.
func (c *Client) Ping(ctx context.Context) error { return c.do(ctx, &Request{Op: OpPing}) }

// Init gives the pid of the container's init, in the host's numbering.
func (c *Client) Init(ctx context.Context, pid int) error {
	return c.do(ctx, &Request{Op: OpInit, Pid: pid})
}

// Start says that the engine called start.
func (c *Client) Start(ctx context.Context) error { return c.do(ctx, &Request{Op: OpStart}) }

// Kill says that the leader is about to be sent signal.
func (c *Client) Kill(ctx context.Context, signal unix.Signal) error {
	return c.do(ctx, &Request{Op: OpKill, Signal: int(signal)})
}

// Pause freezes the followers.
func (c *Client) Pause(ctx context.Context) error { return c.do(ctx, &Request{Op: OpPause}) }

// Resume thaws the followers.
func (c *Client) Resume(ctx context.Context) error { return c.do(ctx, &Request{Op: OpResume}) }

// Update gives the followers other limits: linux.resources as JSON.
func (c *Client) Update(ctx context.Context, resources json.RawMessage) error {
	return c.do(ctx, &Request{Op: OpUpdate, Resources: resources})
}

// Exec records that an engine executes args inside the container.
func (c *Client) Exec(ctx context.Context, args []string) error {
	return c.do(ctx, &Request{Op: OpExec, Args: args})
}

// Stopped says that the container is gone, and waits for its followers' end.
func (c *Client) Stopped(ctx context.Context) error { return c.do(ctx, &Request{Op: OpStopped}) }

// Status asks for the group's state.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	res, err := c.Do(ctx, &Request{Op: OpStatus})
	if err != nil {
		return nil, err
	}
	if res.Status == nil {
		return nil, fmt.Errorf("%s: the supervisor answered status without one", c.name)
	}
	return res.Status, nil
}
