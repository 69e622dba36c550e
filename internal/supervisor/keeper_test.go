package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

// What engines do with containers is tested with engines, in test/engines. Here is what no engine does when it is wanted.

// puppet is a follower's container whose process is a sleep. It fails where it is told to.
type puppet struct {
	t      *testing.T
	create error

	mu   sync.Mutex
	said []string
}

func (p *puppet) note(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, word)
}

func (p *puppet) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, " ")
}

func (p *puppet) Create(context.Context) (int, error) {
	p.note("create")
	if p.create != nil {
		return 0, p.create
	}
	return sleeper(p.t), nil
}

func (p *puppet) Start(context.Context) error                   { p.note("start"); return nil }
func (p *puppet) Pause(context.Context) error                   { p.note("pause"); return nil }
func (p *puppet) Resume(context.Context) error                  { p.note("resume"); return nil }
func (p *puppet) Update(context.Context, json.RawMessage) error { p.note("update"); return nil }
func (p *puppet) Stop(context.Context) error                    { p.note("stop"); return nil }

// kept is the supervisor of a container in this process.
type kept struct {
	plan *control.Plan
	end  chan ended
}

// keep starts the supervisor of a container whose followers are puppets.
func keep(t *testing.T, puppets ...*puppet) *kept {
	t.Helper()
	g, err := config.Local(1 + len(puppets))
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("test-%s-%d", t.Name(), os.Getpid())
	g.Name, g.Logs = id, t.TempDir()
	p := &control.Plan{Container: id, Command: "create", Mode: control.ModeVariants, Variants: 1 + len(puppets), Variant: g.Leader,
		Process: control.Process{Args: []string{"sleep"}}, Token: strings.Repeat("0a", 32), Dev: filepath.Join(control.ContainerDir(id), "1")}
	dirs := []string{p.Dev}
	opts := ContainerOptions{Plan: p, Group: g}
	for i, f := range g.Followers() {
		dev := filepath.Join(p.Dir(), fmt.Sprint(f.ID))
		dirs = append(dirs, dev)
		p.Followers = append(p.Followers, control.Follower{ID: f.ID, Token: strings.Repeat("0b", 32), Dev: dev})
		opts.Followers = append(opts.Followers, puppets[i])
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll(p.Dir()) })
	k := &kept{plan: p, end: make(chan ended, 1)}
	go func() {
		code, err := SuperviseContainer(context.Background(), opts)
		k.end <- ended{code, err}
	}()
	return k
}

// client waits until the supervisor serves.
func (k *kept) client(t *testing.T) *control.Client {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := control.Dial(k.plan.Container)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestInitThatFails: followers that were made before another could not be are ended at once, and a second hook hears of it.
func TestInitThatFails(t *testing.T) {
	first, second, ctx := &puppet{t: t}, &puppet{t: t, create: errors.New("no room")}, context.Background()
	k := keep(t, first, second)
	c, leader := k.client(t), sleeper(t)
	for range 2 {
		if err := c.Init(ctx, leader); err == nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("init: %v", err)
		}
		if got := first.heard(); got != "create stop" {
			t.Errorf("the first follower was told %q", got)
		}
	}
	if err := c.Start(ctx); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("start: %v", err)
	}
	if err := unix.Kill(leader, unix.SIGKILL); err != nil { // as the engine does
		t.Fatal(err)
	}
	if err := c.Stopped(ctx); err != nil {
		t.Error(err)
	}
	c.Close() // the supervisor waits for who is connected
	if got := <-k.end; got.err == nil || got.code == 0 {
		t.Errorf("the supervisor ended with %d, %v", got.code, got.err)
	}
}

// slowly is a puppet that takes a while to be ended the first time, as one that the low-level runtime is still busy with.
type slowly struct {
	puppet
	calls atomic.Int32
}

func (s *slowly) Stop(context.Context) error {
	if s.calls.Add(1) == 1 {
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

// TestStoppedWaitsForWhatEndsFollowers: whoever is told that a container is stopped removes its folder, in which the low-level
// runtime that this process has called must not write any more.
func TestStoppedWaitsForWhatEndsFollowers(t *testing.T) {
	g, err := config.Local(2)
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan struct{})
	k := &keeper{s: newSession(g, "sleep", nil, nil), stopped: make(chan struct{}), over: make(chan struct{}), swept: make(chan struct{})}
	close(k.s.done)
	k.leaving, k.leave = context.WithCancel(context.Background())
	k.opts.Followers = []ContainerFollower{&slowly{}}
	go func() { defer close(ends); k.finish(0, nil) }()
	<-k.over
	time.Sleep(50 * time.Millisecond) // the slow call is under way
	if err := k.Stopped(); err != nil {
		t.Error(err)
	}
	select {
	case <-k.swept:
	default:
		t.Error("told while a follower is still being ended")
	}
	<-ends
}
