package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
)

// Status is what `monmod ps` shows of a group on this host.
type Status struct {
	Group      string          `json:"group"`
	Supervisor int             `json:"supervisor"` // process
	State      string          `json:"state"`      // starting, running, stopped, ending
	Started    time.Time       `json:"started"`
	Policy     string          `json:"policy"`
	Backend    string          `json:"backend"`
	Response   string          `json:"on_divergence"`
	Program    string          `json:"program"`
	Args       []string        `json:"args"`
	Logs       string          `json:"logs"`
	Published  uint64          `json:"published_bytes"` // by the leader, in all lanes
	Variants   []VariantStatus `json:"variants"`
}

// VariantStatus is one variant of Status.
type VariantStatus struct {
	ID       int     `json:"id"`
	Role     string  `json:"role"`
	PID      int     `json:"pid,omitempty"` // 0: on another host
	State    string  `json:"state"`         // starting, running, stopped, dropped, elsewhere, or how it ended
	Compared uint64  `json:"compared"`      // follower: number of the newest call found equal
	Done     uint64  `json:"done"`          // follower: number of the newest call carried out
	Behind   uint64  `json:"behind_bytes"`  // follower: published and not yet taken
	Counters *Counts `json:"counters,omitempty"`
}

const (
	statusFile   = "status.json"
	lockFile     = "lock"
	publishEvery = time.Second
)

// GroupsDir holds one folder for each group that a supervisor of this user serves.
func GroupsDir() string { return filepath.Join(control.StateDir(), "groups") }

// board is where a session shows its status: a folder of its own, locked as long as the supervisor lives.
type board struct {
	dir  string
	lock *os.File
	last time.Time
}

// openBoard makes a session's folder. Its name is the group's, with the variant's ID where there is one supervisor for each. It
// appears with its lock taken: who lists groups takes one whose lock is free for what a dead supervisor has left.
func openBoard(group string, id int) (*board, error) {
	fail := func(err error) (*board, error) {
		if errors.Is(err, errNotPrivate) {
			return nil, fmt.Errorf("keep the state of group %s below %s: %w", group, GroupsDir(), err)
		}
		return nil, fmt.Errorf("keep the state of group %s below %s: %w: make that folder writable, or set XDG_RUNTIME_DIR to one that is", group, GroupsDir(), err)
	}
	if err := privateDir(control.StateDir()); err != nil {
		return fail(err)
	}
	name := fmt.Sprintf("%s.%d.%d", group, id, os.Getpid())
	dir, unseen := filepath.Join(GroupsDir(), name), filepath.Join(GroupsDir(), beginning+name)
	for _, old := range []string{dir, unseen} { // of a process that had this number before
		if err := os.RemoveAll(old); err != nil {
			return fail(err)
		}
	}
	if err := os.MkdirAll(unseen, 0o700); err != nil {
		return fail(err)
	}
	lock, err := os.OpenFile(filepath.Join(unseen, lockFile), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail(errors.Join(err, os.RemoveAll(unseen)))
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Rename(unseen, dir)
	}
	if err != nil {
		return fail(errors.Join(err, lock.Close(), os.RemoveAll(unseen)))
	}
	return &board{dir: dir, lock: lock}, nil
}

// beginning is what the name of a folder begins with that is not a group's yet.
const beginning = "."

var errNotPrivate = errors.New("no folder that only this user can write")

// privateDir makes a folder that belongs to this user, and refuses another's: the temporary folder is everyone's.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s is %w: look who has made it, remove it, or set XDG_RUNTIME_DIR to a folder of your own", dir, errNotPrivate)
	}
	return nil
}

func (b *board) show(st Status) error {
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	part := filepath.Join(b.dir, "."+statusFile)
	if err := os.WriteFile(part, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(b.dir, statusFile))
}

func (b *board) close() error { return errors.Join(os.RemoveAll(b.dir), b.lock.Close()) }

// List returns the groups of this user that run, by name. What a supervisor left behind that was killed is removed.
func List() ([]Status, error) {
	entries, err := os.ReadDir(GroupsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the groups that run: %w", err)
	}
	var out []Status
	for _, e := range entries {
		dir := filepath.Join(GroupsDir(), e.Name())
		if strings.HasPrefix(e.Name(), beginning) {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Minute { // its supervisor was killed then
				_ = os.RemoveAll(dir)
			}
			continue
		}
		st, alive, err := readBoard(dir)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read the state of a group in %s: %w", dir, err)
		case alive:
			st.look()
			out = append(out, st)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Group < out[j].Group || out[i].Group == out[j].Group && out[i].Supervisor < out[j].Supervisor
	})
	return out, nil
}

// look finds out what has been stopped or frozen since, or goes on again: a supervisor that Ctrl-Z has stopped with its program
// cannot tell. A group goes no further without its leader, or, on another host than that, without the variant that runs here.
func (st *Status) look() {
	for i := range st.Variants {
		if v := &st.Variants[i]; v.PID != 0 && (v.State == "running" || v.State == "stopped") {
			v.State = "running"
			if stopped(v.PID) {
				v.State = "stopped"
			}
		}
	}
	first := len(st.Variants) > 0 && st.Variants[0].State == "stopped" // the leader, where it is here
	if st.State == "running" && (first || stopped(st.Supervisor)) {
		st.State = "stopped"
	}
}

func readBoard(dir string) (st Status, alive bool, err error) {
	lock, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		// It is just ending, or its supervisor was killed then.
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = os.Remove(dir)
		}
		return st, false, nil
	}
	if err != nil {
		return st, false, err
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return st, false, os.RemoveAll(dir)
	}
	data, err := os.ReadFile(filepath.Join(dir, statusFile))
	if errors.Is(err, fs.ErrNotExist) {
		return st, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &st)
	}
	return st, err == nil, err
}

// publish shows the session's status, at most once in publishEvery.
func (s *session) publish(now time.Time) {
	if s.board == nil || now.Sub(s.board.last) < publishEvery {
		return
	}
	s.board.last = now
	if err := s.board.show(s.status()); err != nil {
		s.log.Debugf("show the group's state: %v", err)
	}
}

func (s *session) status() Status {
	st := Status{
		Group: s.group.Name, Supervisor: os.Getpid(), State: "starting", Started: s.started, Policy: string(s.group.Policy),
		Backend: string(s.group.Backend), Response: string(s.group.OnDivergence), Program: s.program, Args: s.args, Logs: s.group.Logs,
	}
	switch {
	case s.ending != nil:
		st.State = "ending"
	case s.running:
		st.State = "running"
	}
	if s.arena != nil {
		st.Published = s.arena.head()
	}
	for _, v := range s.variants {
		st.Variants = append(st.Variants, s.variantStatus(v))
	}
	st.Variants = append(st.Variants, s.peers.status(s)...)
	return st
}

func (s *session) variantStatus(v *variant) VariantStatus {
	st := VariantStatus{ID: v.id, Role: v.role(), PID: v.pid, State: "starting"}
	switch {
	case v.exited:
		st.State = v.outcome.String()
	case v.dropped:
		st.State = "dropped"
	case s.running:
		st.State = "running"
		if stopped(v.pid) {
			st.State = "stopped"
		}
	}
	if s.arena != nil {
		st.Counters = countsOf(s.arena.counters(v))
	}
	if !v.leads() && s.arena != nil {
		p := s.arena.progress(v.slot)
		st.Compared, st.Done, st.Behind = p.compared, p.done, s.arena.head()-p.tail
	}
	return st
}
