// Package httpcheck is the client of the tests' web servers: it makes the same requests to each and writes down all of the
// answers that a server decides, so that two transcripts can be compared.
package httpcheck

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
)

// kept lists the headers that a server decides from its files and configuration, so that they are the same at each run.
var kept = []string{"Accept-Ranges", "Connection", "Content-Length", "Content-Range", "Content-Type", "Etag", "Last-Modified", "Server"}

// Request is one request; Header holds complete lines.
type Request struct {
	Method string
	Path   string
	Header []string
}

// Plan is a client's visit.
type Plan struct {
	Addr        string
	Requests    []Request // one after the other, on one connection as long as the server keeps it open
	Crowd       int       // so many connections, opened before the first request goes out on any of them
	CrowdPath   string
	CrowdRounds int           // requests on each of those connections
	Deadline    time.Duration // for each connection's whole life
}

// Visit carries out the plan and returns a line per answer: request, status, kept headers, length and digest of the body.
func Visit(p Plan) ([]string, error) {
	var lines []string
	var c *conn
	defer func() { c.close() }()
	for _, r := range p.Requests {
		if c == nil {
			var err error
			if c, err = dial(p); err != nil {
				return lines, err
			}
		}
		line, closed, err := c.do(r)
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
		if closed {
			c.close()
			c = nil
		}
	}
	crowd, err := p.crowd()
	return append(lines, crowd...), err
}

// Hold makes one request and keeps its connection open until the closer is closed.
func Hold(p Plan, r Request) (line string, held io.Closer, err error) {
	c, err := dial(p)
	if err != nil {
		return "", nil, err
	}
	line, _, err = c.do(r)
	if err != nil {
		c.close()
		return "", nil, err
	}
	return "held: " + line, c, nil
}

func (p Plan) crowd() ([]string, error) {
	conns := make([]*conn, p.Crowd)
	for i := range conns {
		var err error
		if conns[i], err = dial(p); err != nil {
			return nil, err
		}
		defer conns[i].close()
	}
	var mu sync.Mutex
	var lines []string
	var failed error
	var wait sync.WaitGroup
	for _, c := range conns {
		wait.Go(func() {
			for range p.CrowdRounds {
				line, closed, err := c.do(Request{Method: "GET", Path: p.CrowdPath})
				mu.Lock()
				if err != nil {
					failed = err
				}
				lines = append(lines, "crowd: "+line)
				mu.Unlock()
				if err != nil || closed {
					// What cannot be asked again must not keep a server waiting that serves one connection at a time.
					c.close()
					return
				}
			}
			c.close()
		})
	}
	wait.Wait()
	sort.Strings(lines)
	return lines, failed
}

type conn struct {
	net.Conn
	r    *bufio.Reader
	once sync.Once
}

func dial(p Plan) (*conn, error) {
	n, err := net.DialTimeout("tcp", p.Addr, p.Deadline)
	if err != nil {
		return nil, fmt.Errorf("connect to the server under test: %w", err)
	}
	if err := n.SetDeadline(time.Now().Add(p.Deadline)); err != nil {
		return nil, err
	}
	return &conn{Conn: n, r: bufio.NewReader(n)}, nil
}

func (c *conn) close() {
	if c != nil {
		c.once.Do(func() { c.Conn.Close() })
	}
}

// do makes one request and returns its line and whether the server closes the connection after it.
func (c *conn) do(r Request) (line string, closed bool, err error) {
	name := strings.TrimSpace(r.Method + " " + r.Path + " " + strings.Join(r.Header, "; "))
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: test\r\n", r.Method, r.Path)
	for _, h := range r.Header {
		head.WriteString(h + "\r\n")
	}
	head.WriteString("\r\n")
	if _, err := io.WriteString(c, head.String()); err != nil {
		return "", true, fmt.Errorf("send %q: %w", name, err)
	}
	resp, err := http.ReadResponse(c.r, &http.Request{Method: r.Method})
	if err != nil {
		return "", true, fmt.Errorf("read the answer to %q: %w", name, err)
	}
	defer resp.Body.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, resp.Body)
	if err != nil {
		return "", true, fmt.Errorf("read the body of %q after %d bytes: %w", name, n, err)
	}
	line = fmt.Sprintf("%s: %s", name, resp.Status)
	for _, h := range kept {
		if v := resp.Header.Values(h); len(v) > 0 {
			line += fmt.Sprintf(" %s=%q", h, v)
		}
	}
	return fmt.Sprintf("%s body %d %x", line, n, sum.Sum(nil)[:8]), resp.Close, nil
}
