package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/words"
)

// What an engine does with a container, as control.Handler. Each method may be called from several goroutines.

// Init takes the container's first process and makes the followers' containers. Where that fails none of them is left.
func (k *keeper) Init(pid int) error {
	k.begin.Lock()
	defer k.begin.Unlock()
	if k.inited {
		return k.failed
	}
	k.inited = true
	ctx, cancel := limited()
	defer cancel()
	if k.failed = k.init(ctx, pid); k.failed != nil {
		k.failed = errors.Join(k.failed, k.each(stop))
	}
	return k.failed
}

func (k *keeper) init(ctx context.Context, pid int) error {
	if err := k.expect(k.seat[0], pid); err != nil {
		return err
	}
	// A command that is ended half-way leaves more to be cleaned up than one that is waited for.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(k.leaving, func() { time.AfterFunc(giveUpAfter, func() { cancel(errLeaving) }) })()
	for i, f := range k.opts.Followers {
		if k.leaving.Err() != nil {
			return errLeaving
		}
		pid, err := f.Create(ctx)
		if err != nil {
			return because(ctx, err)
		}
		if err := k.expect(k.seat[i+1], pid); err != nil {
			return err
		}
	}
	if k.opts.Plan.Command != "create" {
		return k.start(ctx) // the program follows at once, nobody says start
	}
	return nil
}

var errLeaving = errors.New("the engine removes the container")

// Start lets the followers' programs run beside the leader's; from now on hello is awaited.
func (k *keeper) Start() error {
	k.begin.Lock()
	defer k.begin.Unlock()
	if !k.inited {
		return errors.New("start before the hook gave the container's process: was the container created by monmod-runtime")
	}
	ctx, cancel := limited()
	defer cancel()
	return k.start(ctx)
}

func (k *keeper) start(ctx context.Context) error {
	if k.failed != nil || k.started {
		return k.failed
	}
	if k.leaving.Err() != nil {
		return errLeaving
	}
	k.started = true
	select {
	case <-k.over:
		return k.ended()
	default:
	}
	k.clocking.Do(func() { close(k.clock) })
	return k.eachWithin(ctx, func(ctx context.Context, f ContainerFollower) error { return f.Start(ctx) })
}

// Kill notes that the container's end is wanted: a SIGKILL takes its last word away.
func (k *keeper) Kill(sig unix.Signal) error {
	k.s.post(event{call: func() {
		k.s.killed = k.s.killed || sig == unix.SIGKILL
		k.s.tell("engine_kill", k.s.variants[0].id, "the engine sends "+words.Signal(uint64(sig)))
	}})
	return nil
}

func (k *keeper) setPaused(paused bool) {
	k.mu.Lock()
	k.paused = paused
	k.mu.Unlock()
}

// Pause freezes the followers; the engine freezes the leader. It does not where this fails, so that all are thawed then: the
// leader would wait for those that stay frozen.
func (k *keeper) Pause() error {
	var frozen sync.Map // by follower
	err := k.each(func(ctx context.Context, f ContainerFollower) error {
		err := f.Pause(ctx)
		frozen.Store(f, err == nil)
		return err
	})
	k.setPaused(err == nil)
	if err == nil {
		return nil
	}
	return errors.Join(err, k.each(func(ctx context.Context, f ContainerFollower) error {
		thawed := f.Resume(ctx)
		if was, _ := frozen.Load(f); was == false {
			return nil // half frozen at most: mostly there is nothing to thaw, and that it failed is told
		}
		return thawed
	}))
}

// Resume thaws the followers.
func (k *keeper) Resume() error {
	k.setPaused(false)
	return k.each(func(ctx context.Context, f ContainerFollower) error { return f.Resume(ctx) })
}

// Update gives the followers the leader's new limits.
func (k *keeper) Update(resources json.RawMessage) error {
	return k.each(func(ctx context.Context, f ContainerFollower) error { return f.Update(ctx, resources) })
}

// Exec notes a process that runs in the container beside the variant, unmonitored.
func (k *keeper) Exec(args []string) error {
	k.s.post(event{call: func() {
		k.s.tell("exec", k.s.variants[0].id, "the engine executes an unmonitored process in the container: "+printable([]byte(strings.Join(args, " "))))
	}})
	return nil
}

// Stopped ends what is left of the group, waits for it, and lets the supervisor go.
func (k *keeper) Stopped() error {
	k.s.post(event{call: func() { k.s.killed = true }})
	k.leave()
	k.begin.Lock() // what is being made is there when it is looked for; Init gives up soon
	k.inited = true
	if k.failed == nil {
		k.failed = errLeaving
	}
	k.begin.Unlock()
	err := k.each(func(ctx context.Context, f ContainerFollower) error {
		select {
		case <-k.over: // it ends by itself in most cases, with its own exit code
		case <-time.After(giveUpAfter):
		}
		return f.Stop(ctx)
	})
	select {
	case <-k.over:
	case <-time.After(giveUpAfter):
		err = errors.Join(err, errors.New("a process of the group does not end: look for it with ps"))
	}
	select { // who is told removes the container's folder, in which the low-level runtime keeps its log
	case <-k.swept:
	case <-time.After(giveUpAfter):
	}
	k.stopping.Do(func() { close(k.stopped) })
	return err
}

// Status says how the group is.
func (k *keeper) Status() (*control.Status, error) {
	reply := make(chan Status, 1)
	if !k.s.post(event{call: func() { reply <- k.s.status() }}) {
		<-k.over
		k.mu.Lock()
		defer k.mu.Unlock()
		out := controlStatus(k.last)
		out.State, out.ExitCode, out.Reason = "ended", k.code, k.reason
		return out, nil
	}
	out := controlStatus(<-reply)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.paused:
		out.State = "paused"
	case out.State == "starting":
		out.State = "waiting"
	}
	return out, nil
}

func controlStatus(st Status) *control.Status {
	out := &control.Status{Supervisor: os.Getpid(), Group: st.Group, Policy: st.Policy, Backend: st.Backend, State: st.State,
		Counters: map[string]uint64{"published_bytes": st.Published}}
	for _, v := range st.Variants {
		out.Variants = append(out.Variants, control.VariantStatus{ID: v.ID, Role: v.Role, State: v.State, Pid: v.PID})
		out.Counters[fmt.Sprintf("compared_%d", v.ID)] = v.Compared
	}
	return out
}
