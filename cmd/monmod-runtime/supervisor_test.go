package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/runtime"
)

// keeper is the supervisor of these tests: it does with followers and socket
// what the real one does, and writes down what it is told. Nothing is compared.
type keeper struct {
	mu   sync.Mutex
	plan *control.Plan
	note *os.File
	pid  int
	stop chan struct{}
	once sync.Once
}

// superviseForTest is "monmod supervise --container ID". The container's
// environment tells it what to do wrong.
func superviseForTest(id string) error {
	p, err := control.LoadPlan(id)
	if err != nil {
		return err
	}
	for _, e := range p.Process.Env {
		if e == "FAIL=early" {
			return fmt.Errorf("the arena has no room")
		}
	}
	note, err := os.OpenFile(filepath.Join(p.Bundle, "told"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	k := &keeper{plan: p, note: note, stop: make(chan struct{})}
	if err := k.greet(p.Variant, p.Hello(), p.Token); err != nil {
		return err
	}
	for _, f := range p.Followers {
		if err := k.greet(f.ID, f.Hello(), f.Token); err != nil {
			return err
		}
	}
	l, err := control.Listen(filepath.Join(p.Dir(), control.SocketFile))
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-k.stop:
		case <-time.After(time.Minute): // a test that failed leaves nothing behind
		}
		l.Close()
	}()
	return control.Serve(l, k)
}

// greet listens for one variant's hello.
func (k *keeper) greet(id int, path, token string) error {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 128)
			n, _ := c.Read(buf)
			c.Close()
			k.write("hello %d %v", id, string(buf[:n]) == token)
		}
	}()
	return nil
}

func (k *keeper) write(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fmt.Fprintf(k.note, format+"\n", args...)
}

func (k *keeper) each(f func(context.Context, runtime.Follower) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, follower := range runtime.Followers(k.plan) {
		if err := f(ctx, follower); err != nil {
			return err
		}
	}
	return nil
}

func (k *keeper) Init(pid int) error {
	k.mu.Lock()
	first := k.pid == 0
	k.pid = pid
	k.mu.Unlock()
	if !first {
		return nil
	}
	k.write("init %v", syscall.Kill(pid, 0) == nil)
	return k.each(func(ctx context.Context, f runtime.Follower) error {
		pid, err := f.Create(ctx)
		if err == nil {
			k.write("follower %v", syscall.Kill(pid, 0) == nil)
		}
		return err
	})
}

func (k *keeper) Start() error {
	k.write("start")
	return k.each(func(ctx context.Context, f runtime.Follower) error { return f.Start(ctx) })
}

func (k *keeper) Kill(s unix.Signal) error { k.write("kill %v", s); return nil }

func (k *keeper) Pause() error {
	k.write("pause")
	return k.each(func(ctx context.Context, f runtime.Follower) error { return f.Pause(ctx) })
}

func (k *keeper) Resume() error {
	k.write("resume")
	return k.each(func(ctx context.Context, f runtime.Follower) error { return f.Resume(ctx) })
}

func (k *keeper) Update(r json.RawMessage) error {
	k.write("update %s", r)
	return k.each(func(ctx context.Context, f runtime.Follower) error { return f.Update(ctx, r) })
}

func (k *keeper) Exec(args []string) error { k.write("exec %q", args); return nil }

func (k *keeper) Stopped() error {
	k.write("stopped")
	err := k.each(func(ctx context.Context, f runtime.Follower) error { return f.Stop(ctx) })
	k.once.Do(func() { close(k.stop) })
	return err
}

func (k *keeper) Status() (*control.Status, error) {
	return &control.Status{Supervisor: os.Getpid()}, nil
}
