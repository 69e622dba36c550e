package supervisor

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

// ContainerFollower is a follower that is a container derived from the leader's bundle. Its methods run the low-level runtime.
type ContainerFollower interface {
	Create(ctx context.Context) (pid int, err error) // in the host's numbering; the program waits for Start
	Start(ctx context.Context) error
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	Update(ctx context.Context, resources json.RawMessage) error
	Stop(ctx context.Context) error // by force; no error where there is none
}

// ContainerOptions are what a container's supervisor is to serve.
type ContainerOptions struct {
	Plan      *control.Plan
	Group     *config.Group
	Followers []ContainerFollower // in the order of Plan.Followers
	Logger    *logrus.Logger
}

const (
	initTimeout   = time.Minute     // from here to the engine's hook
	folderChecked = 5 * time.Second // how often it is seen whether the container's folder is there
)

// keeper serves one container: what the engine does with it on one side, the session on the other. Its own state is guarded
// by mu; the session's is touched by the session's loop alone.
type keeper struct {
	opts ContainerOptions
	s    *session
	seat []seat

	guard *watchdog

	begin    sync.Mutex // Init and Start happen once each, and no follower is made behind Stopped's back
	inited   bool
	failed   error // of Init
	started  bool
	leaving  context.Context // done when no follower may be made any more
	leave    context.CancelFunc
	come     chan arrival
	clock    chan struct{} // closed when the time to say hello begins
	clocking sync.Once
	stopped  chan struct{} // closed when the engine is done with the container
	stopping sync.Once
	over     chan struct{} // closed when no process of the group is left
	swept    chan struct{} // closed when this process does nothing to the followers any more

	mu     sync.Mutex
	paused bool
	last   Status // of the session when it was over
	code   int
	reason string
}

// seat is a variant and where it comes to.
type seat struct {
	v      *variant
	token  [abi.TokenBytes]byte
	path   string
	listen *net.UnixListener
}

// SuperviseContainer serves a container's control socket, and its group from the first instruction to the last, until the
// engine has deleted the container. Code and error are as Run's.
func SuperviseContainer(ctx context.Context, opts ContainerOptions) (code int, err error) {
	k := &keeper{opts: opts, come: make(chan arrival, abi.MaxVariants), clock: make(chan struct{}), stopped: make(chan struct{}), over: make(chan struct{}), swept: make(chan struct{})}
	k.leaving, k.leave = context.WithCancel(context.Background())
	defer k.leave()
	p := opts.Plan
	k.s = newSession(opts.Group, p.Process.Args[0], p.Process.Args[1:], opts.Logger)
	k.s.argv0, k.s.adopted = p.Process.Args[0], true
	defer k.unseat()
	if err := k.seats(); err != nil {
		return ExitConfig, err
	}
	if k.guard, err = startWatchdog(); err != nil {
		return ExitConfig, err
	}
	defer func() { err = errors.Join(err, k.guard.dismiss()) }()
	go k.watchGuard()
	if err := k.guard.serves(opts.Group.Name, opts.Group.Logs); err != nil {
		return ExitConfig, err
	}
	socket := filepath.Join(p.Dir(), control.SocketFile)
	l, err := control.Listen(socket)
	if err != nil {
		return ExitConfig, err
	}
	served := make(chan error, 1)
	go func() { served <- control.Serve(l, k) }()
	code, err = k.s.run(ctx, k.bring)
	if lost := k.guard.over(); lost != nil {
		k.s.log.Warn(lost)
	}
	k.finish(code, err)
	k.awaitDelete(ctx)
	closed := l.Close()
	return code, errors.Join(err, closed, <-served, os.Remove(socket))
}

// seats makes the socket of every variant of this container, before anything can start.
func (k *keeper) seats() error {
	p, g := k.opts.Plan, k.opts.Group
	add := func(id int, path, token string) error {
		st := seat{v: newVariant(id, slotOf(g, id), placeOf(g, id)), path: path}
		if n, err := hex.Decode(st.token[:], []byte(token)); err != nil || n != len(st.token) {
			return fmt.Errorf("the token of variant %d in the plan: %d bytes (%v)", id, n, err)
		}
		st.v.token = st.token
		var err error
		if st.listen, err = listenHello(path, 0o666); err != nil {
			return err
		}
		k.seat = append(k.seat, st)
		k.s.variants = append(k.s.variants, st.v)
		return nil
	}
	if err := add(p.Variant, p.Hello(), p.Token); err != nil {
		return err
	}
	for i := range p.Followers {
		f := &p.Followers[i]
		if err := add(f.ID, f.Hello(), f.Token); err != nil {
			return err
		}
	}
	if p.Mode == control.ModeOne {
		k.s.peers = &peers{remote: make(map[int]*remote)}
	} else if !k.s.variants[0].leads() {
		return fmt.Errorf("the plan of container %s makes variant %d the container's own, but the group's leader is %d: leave `leader` at %d", p.Container, p.Variant, g.Leader, p.Variant)
	}
	return nil
}

// watchGuard ends the group when the watchdog is gone: nobody would end it any more when this process is.
func (k *keeper) watchGuard() {
	<-k.guard.gone
	why := "it left with exit code 0"
	if k.guard.end != nil {
		why = k.guard.end.Error()
	}
	k.s.post(event{lost: fmt.Errorf("the watchdog of the supervisor is gone (%s), which would end the container without it: see who or what ended it, and start the container again", why)})
}

// unseat removes the sockets of the variants.
func (k *keeper) unseat() {
	for _, st := range k.seat {
		if st.listen != nil {
			_ = st.listen.Close() // already, where the variant has come
			_ = os.Remove(st.path)
		}
	}
}

// bring waits until every variant has come.
func (k *keeper) bring(ctx context.Context) error {
	s := k.s
	patience := time.After(initTimeout)
	var late <-chan time.Time
	clock := k.clock
	for came := 0; came < len(k.seat); {
		select {
		case e := <-s.events:
			if err := s.before(e); err != nil {
				return err
			}
			if s.variants[0].pid != 0 {
				patience = nil // how long the engine keeps a container that is created is its affair
			}
		case a := <-k.come:
			if err := s.take(a); err != nil {
				return err
			}
			if a.v.stderr >= 0 {
				if err := k.guard.logs(a.v.stderr); err != nil {
					return err
				}
			}
			came++
		case <-clock:
			clock, late = nil, time.After(s.patience)
		case <-late:
			return failf(ExitDivergence, "container %s was started and not every variant said hello within %v: is the bound library executable, and does the program's loader leave it alone?", k.opts.Plan.Container, s.patience)
		case <-ctx.Done():
			return failf(ExitDivergence, "the start was given up: %w", context.Cause(ctx))
		case <-patience:
			return failf(ExitConfig, "no hook gave the process of container %s within %v: it was not created", k.opts.Plan.Container, initTimeout)
		}
	}
	return nil
}

// expect begins to wait for a variant whose container's first process is pid.
func (k *keeper) expect(st seat, pid int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("watch process %d of variant %d: %w", pid, st.v.id, err)
	}
	if err := k.guard.watch(pidfd); err != nil {
		closeAll(pidfd)
		return err
	}
	posted := k.s.post(event{call: func() {
		st.v.pid, st.v.pidfd, st.v.waited = pid, pidfd, true
		k.s.helper.Go(func() { k.s.wait(st.v) })
		go func() {
			a := k.s.callers(st.listen, expected{v: st.v, token: st.token, pid: pid})
			_ = st.listen.Close() // one comes, once
			k.come <- a
		}()
	}})
	if !posted {
		closeAll(pidfd)
		return k.ended()
	}
	return nil
}

// ended is the answer to an engine that goes on with a container whose group is over.
func (k *keeper) ended() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Errorf("the group has ended: %s", k.reason)
}

// each runs one command of the low-level runtime for every follower and gives all errors.
func (k *keeper) each(f func(context.Context, ContainerFollower) error) error {
	ctx, cancel := limited()
	defer cancel()
	return k.eachWithin(ctx, f)
}

func (k *keeper) eachWithin(ctx context.Context, f func(context.Context, ContainerFollower) error) error {
	errs := make([]error, len(k.opts.Followers))
	var wg sync.WaitGroup
	for i, follower := range k.opts.Followers {
		wg.Go(func() { errs[i] = because(ctx, f(ctx, follower)) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// limited is for one thing that is done to all followers.
func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.Background(), control.RuntimeLimit,
		fmt.Errorf("the low-level runtime takes longer than %v: see what holds it up, and try again", control.RuntimeLimit))
}

// because says why a command was ended, where it was: the command says only that it was.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// finish ends what the group's end has left.
func (k *keeper) finish(code int, err error) {
	k.mu.Lock()
	k.last, k.code, k.reason = k.s.last, code, "the program ended"
	if err != nil {
		k.reason = err.Error()
	}
	k.mu.Unlock()
	close(k.over)
	defer close(k.swept)
	if err := k.each(stop); err != nil {
		k.s.log.Error(err)
	}
}

func stop(ctx context.Context, f ContainerFollower) error { return f.Stop(ctx) }

// awaitDelete keeps answering until the engine is done, or the container's folder is gone without a word.
func (k *keeper) awaitDelete(ctx context.Context) {
	tick := time.NewTicker(folderChecked)
	defer tick.Stop()
	for {
		select {
		case <-k.stopped:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := os.Stat(k.opts.Plan.Dir()); err != nil {
				return
			}
		}
	}
}
