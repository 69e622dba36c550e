package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
)

// RunOptions say what is to run as the variants of a group.
type RunOptions struct {
	Group   *config.Group // valid
	ID      int           // the one variant that runs here; 0: all of them
	Program string        // as a shell takes it: a path, or a name to be found in PATH
	Args    []string      // behind the program's name
	Library string        // path of libmonmod.so; "": beside this executable

	Env []string // nil: this process's
	Dir string   // "": this process's
	// Files are the leader's descriptors: its number, and ours. nil: 0, 1 and 2 as they are. Followers inherit none.
	Files map[int]int
	// Foreground makes this process a wrapper that a shell does not notice: signals and stops act on the program.
	Foreground bool
	// Spawned is called when every process of this host has been started: descriptors that were for the program alone can
	// be closed.
	Spawned func()
	Logger  *logrus.Logger // nil: silent

	patience time.Duration // for one step of a variant before GO; 0: helloTimeout
}

// Run runs a program as all variants of a group on this host and returns its exit code, as a shell would show it. With an
// error, a *Failure for one that has a code of its own, code is what monmod is to leave with: the program did not run, or
// the group was ended. ctx ends the group.
func Run(ctx context.Context, opts RunOptions) (code int, err error) {
	if err := enoughFiles(len(opts.Group.Variants)); err != nil { // first: Go itself ends the process where no file can be opened
		return ExitConfig, err
	}
	l, code, err := newLaunch(opts)
	if err != nil {
		return code, err
	}
	s := newSession(opts.Group, opts.Program, opts.Args, opts.Logger)
	s.argv0 = opts.Program
	if opts.patience > 0 {
		s.patience = opts.patience
	}
	for _, v := range opts.Group.Variants {
		if opts.ID == 0 || opts.ID == v.ID {
			s.variants = append(s.variants, newVariant(v.ID, slotOf(opts.Group, v.ID), placeOf(opts.Group, v.ID)))
		}
	}
	slices.SortFunc(s.variants, func(a, b *variant) int { return a.slot - b.slot })
	if opts.ID != 0 {
		s.peers = &peers{remote: make(map[int]*remote)}
	}
	if opts.Foreground {
		defer s.handleSignals()()
		s.follow = hasTerminal()
		before := settings()
		defer func() {
			if s.ending == nil {
				return
			}
			if err := restore(before); err != nil {
				s.log.Warn(err)
			}
		}()
	}
	sp := newSpawner()
	defer sp.close()
	return s.run(ctx, func(context.Context) error {
		for _, v := range s.variants {
			if err := sp.do(func() error { return l.spawn(v) }); err != nil {
				return &Failure{Code: ExitConfig, Err: err}
			}
			s.attend(v)
		}
		if opts.Spawned != nil {
			opts.Spawned()
		}
		return nil
	})
}

// run takes a session from nothing to the end. bring makes its variants come to the control sockets.
func (s *session) run(ctx context.Context, bring func(context.Context) error) (code int, err error) {
	text := "the program ended"
	defer func() { err = errors.Join(err, s.close(code, text)) }() // also where nothing began: others may wait for the loop
	if s.peers != nil && s.group.FS == config.FSShared {
		return ExitConfig, failf(ExitConfig, "group %s says fs: shared, but its variants have supervisors of their own, which share no files in this version: write fs: own, or run all variants with `monmod run --variants`", s.group.Name)
	}
	if err := s.group.CheckLogs(); err != nil {
		return ExitConfig, err
	}
	s.journal = newJournal(s.group.Logs, s.group.Name, func(err error) { s.log.Warn(err) })
	defer func() { err = errors.Join(err, s.journal.close()) }()
	if s.board, err = openBoard(s.group.Name, s.alone()); err != nil {
		return ExitConfig, err
	}
	defer func() { err = errors.Join(err, s.board.close()) }()
	if err := s.start(ctx, bring); err != nil {
		text = err.Error()
		s.tell("not_started", 0, text)
		var f *Failure
		if errors.As(err, &f) {
			return f.Code, err
		}
		return ExitDivergence, err
	}
	s.tell("started", 0, fmt.Sprintf("%s runs as %d variants, policy %s", s.program, len(s.group.Variants), s.group.Policy))
	s.board.last = time.Time{} // what runs is to be seen at once
	s.publish(time.Now())
	s.loop(ctx)
	if s.ending != nil {
		text = s.ending.cause.text
	}
	return s.finish()
}

// start brings every variant of this host to its program's first instruction.
func (s *session) start(ctx context.Context, bring func(context.Context) error) (err error) {
	if s.arena, err = newArena(len(s.group.Variants)-1, abi.RingDefault, s.mirrors()); err != nil {
		return err
	}
	if err := s.openModule(); err != nil {
		return err
	}
	if err := bring(ctx); err != nil {
		return err
	}
	s.publish(time.Now())
	if err := s.greet(ctx); err != nil {
		return err
	}
	if v := s.leader(); v != nil {
		s.leaderPID = v.ownPID
	}
	leader, all := s.variants[0].hello, s.states()
	if s.peers != nil {
		if err := s.connect(ctx, s.variants[0]); err != nil {
			return err
		}
		leader, all = s.peers.states(s, all)
	}
	mounts, err := s.mounts()
	if err != nil {
		return err
	}
	object, err := startObject(leader, all, mounts, s.group)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, object); err != nil {
		return err
	}
	if s.peers != nil {
		s.pump()
		if err := s.allReady(ctx); err != nil {
			return err
		}
	}
	return s.goAll()
}

// alone is the ID of the one variant that this supervisor serves, 0 where it serves all.
func (s *session) alone() int {
	if s.peers == nil {
		return 0
	}
	return s.variants[0].id
}

// mirrors are the objects whose writer is a variant of another supervisor.
func (s *session) mirrors() mirrors {
	var m mirrors
	if s.peers == nil {
		return m
	}
	m.stream = s.leader() == nil
	for _, v := range s.group.Followers() {
		m.index[slotOf(s.group, v.ID)] = !m.stream
	}
	return m
}

// finish writes what is known at the end and gives the exit code.
func (s *session) finish() (int, error) {
	for _, v := range s.variants {
		var counters *Counts
		if v.stop != nil {
			counters = countsOf(&v.stop.Counters)
		}
		s.enter("ended", v.id, v.outcome.String(), counters)
	}
	code := s.result()
	if s.ending == nil {
		return code, nil
	}
	why := s.ending.cause
	if why.reason != "" {
		s.writeReport(s.newReport(why, "group_ended"))
	}
	for _, maps := range s.ending.maps {
		maps.Close()
	}
	return code, &Failure{Code: code, Err: errors.New(why.text)}
}

// startFlags are what the library is told of the group.
func (s *session) startFlags() uint32 {
	var flags uint32
	if s.group.OnDivergence == config.Audit {
		flags |= abi.StartAudit
	}
	if s.sharedFiles() {
		flags |= abi.StartFsShared
	}
	if s.group.Program == config.ProgramDiffers {
		flags |= abi.StartProgramDiffers
	}
	if s.peers != nil {
		flags |= abi.StartApart
	}
	return flags | s.guardFlags()
}

// sharedFiles says whether all variants see the same files, as far as the group does not say: those of one host do.
func (s *session) sharedFiles() bool {
	return s.group.FS == config.FSShared || s.group.FS == config.FSAuto && s.peers == nil
}

func newLaunch(opts RunOptions) (*launch, int, error) {
	l := &launch{library: opts.Library, args: opts.Args, env: opts.Env, dir: opts.Dir, files: opts.Files}
	if l.env == nil {
		l.env = os.Environ()
	}
	if l.files == nil {
		l.files = map[int]int{0: 0, 1: 1, 2: 2}
	}
	program, code, err := resolve(opts.Program, l.env)
	if err != nil {
		return nil, code, err
	}
	if l.library == "" {
		if l.library, err = FindLibrary(); err != nil {
			return nil, ExitConfig, err
		}
	}
	l.program, l.env = program, withoutOwn(l.env)
	return l, 0, nil
}
