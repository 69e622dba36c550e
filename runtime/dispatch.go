package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
)

// wrapper is one run of this program.
type wrapper struct {
	self         string // path of this program
	operatorFile string
	stdout       io.Writer

	require  bool
	lowLevel string // path of the low-level runtime
	operator *config.Operator
}

// Main does what a command line asks for: args are the words after the
// program's name. It returns an exit status, or never, having become the
// low-level runtime.
func Main(args []string) int {
	inv, err := Parse(args)
	if err == nil {
		w := &wrapper{operatorFile: config.OperatorFile, stdout: os.Stdout}
		var words []string
		if words, err = w.prepare(inv); err == nil {
			if words == nil {
				return 0
			}
			err = syscall.Exec(w.lowLevel, append([]string{w.lowLevel}, words...), os.Environ())
			err = fmt.Errorf("execute the low-level runtime %s: %w", w.lowLevel, err)
		}
	}
	fail(inv, os.Stderr, describe(inv, err))
	return 1
}

// handlers are the commands in which the wrapper has a part. An error keeps the
// low-level runtime from being started.
var handlers = map[string]func(*wrapper, *Invocation) error{
	"create":     (*wrapper).create,
	"run":        (*wrapper).create,
	"restore":    (*wrapper).create,
	"start":      (*wrapper).start,
	"kill":       (*wrapper).kill,
	"pause":      (*wrapper).pause,
	"resume":     (*wrapper).resume,
	"update":     (*wrapper).update,
	"delete":     (*wrapper).delete,
	"exec":       (*wrapper).exec,
	"checkpoint": (*wrapper).checkpoint,
}

// prepare does the wrapper's part of a command and returns the words for the
// low-level runtime; nil where nothing is left to do.
func (w *wrapper) prepare(inv *Invocation) (words []string, err error) {
	if w.self == "" {
		if w.self, err = Self(); err != nil {
			return nil, err
		}
	}
	w.require = inv.Require
	w.operator, err = config.LoadOperator(w.operatorFile)
	if err != nil {
		// What a container may do is not known, so none is made; those that
		// run can still be stopped.
		if slices.ContainsFunc(inv.Args, func(s string) bool { return slices.Contains(creating, s) || s == "exec" }) {
			return nil, err
		}
		w.operator = &config.Operator{Runtime: "runc"}
	}
	name := w.operator.Runtime
	if inv.LowLevel != "" {
		name = inv.LowLevel
	}
	w.lowLevel, err = findLowLevel(name, w.self)
	if path := w.maker(inv); path != "" {
		w.lowLevel, err = path, nil
	}
	if err != nil {
		return nil, err
	}
	if inv.Help {
		return inv.Args, nil
	}
	if inv.asksVersion() && w.version(inv) == nil {
		return nil, nil
	}
	if inv.Command == "features" && inv.Doubt == "" && w.features(inv) == nil {
		return nil, nil
	}
	handler, ok := handlers[inv.Command]
	if !ok {
		if inv.Doubt == "" {
			return inv.Args, nil
		}
		handler = (*wrapper).passDoubtful
	}
	if err := handler(w, inv); err != nil {
		return nil, err
	}
	return inv.Args, nil
}

// passDoubtful is for a command line of which not even the command is certain.
func (w *wrapper) passDoubtful(inv *Invocation) error {
	for _, word := range inv.Args {
		switch p, err := control.LoadPlan(word); {
		case err != nil:
		case slices.Contains(inv.Args, "checkpoint"):
			return errCheckpoint
		case slices.Contains(inv.Args, "exec") && w.denies(p):
			return errExec
		}
	}
	return w.doubtful(inv)
}

// monitored returns the plan of the container that a command is about, nil
// where it is not monitored or is another engine's of the same name.
func (w *wrapper) monitored(inv *Invocation) (*control.Plan, error) {
	if control.CheckID(inv.Container) != nil {
		return nil, nil
	}
	p, err := control.LoadPlan(inv.Container)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	root, err := engineRoot(inv, w.lowLevel)
	if err != nil {
		return nil, err
	}
	// A link on the way may be younger than the plan.
	planned, err := realPath(p.Root)
	if err != nil || root != planned {
		return nil, err
	}
	return p, nil
}

// tell says something to the supervisor of a monitored container; it does
// nothing for others.
func (w *wrapper) tell(inv *Invocation, f func(context.Context, *control.Client) error) error {
	p, err := w.monitored(inv)
	if err != nil || p == nil {
		return err
	}
	c, err := control.Dial(p.Container)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(context.Background(), c)
}

// start needs the supervisor: without it no one would answer the library.
func (w *wrapper) start(inv *Invocation) error {
	return w.tell(inv, func(ctx context.Context, c *control.Client) error { return c.Start(ctx) })
}

// kill must work whatever the supervisor does.
func (w *wrapper) kill(inv *Invocation) error {
	name := "TERM"
	if len(inv.Operands) > 0 {
		name = inv.Operands[0]
	}
	if s := parseSignal(name); s > 0 {
		_ = w.tell(inv, func(ctx context.Context, c *control.Client) error { return c.Kill(ctx, s) })
	}
	return nil
}

// parseSignal takes a number or a name with or without SIG; 0 is no signal.
func parseSignal(name string) unix.Signal {
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= 64 {
		return unix.Signal(n)
	}
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	return unix.SignalNum(name)
}

func (w *wrapper) pause(inv *Invocation) error {
	return w.tell(inv, func(ctx context.Context, c *control.Client) error { return c.Pause(ctx) })
}

// resume goes on without a supervisor: what is frozen cannot end either.
func (w *wrapper) resume(inv *Invocation) error {
	err := w.tell(inv, func(ctx context.Context, c *control.Client) error { return c.Resume(ctx) })
	if errors.Is(err, control.ErrUnreachable) {
		return nil
	}
	return err
}

func (w *wrapper) update(inv *Invocation) error {
	p, err := w.monitored(inv)
	if err != nil || p == nil {
		return err
	}
	if inv.Doubt != "" {
		return fmt.Errorf("%s, so the followers' limits cannot be kept equal to the leader's: leave the flag out", inv.Doubt)
	}
	resources, err := readResources(inv)
	if err != nil {
		return err
	}
	return w.tell(inv, func(ctx context.Context, c *control.Client) error { return c.Update(ctx, resources) })
}

// delete leaves the work to the poststop hook; what --force kills is killed by
// the engine's will. Where the low-level runtime never had the container no
// hook will run.
func (w *wrapper) delete(inv *Invocation) error {
	p, err := w.monitored(inv)
	if err != nil || p == nil {
		return nil
	}
	if exists(p.Root, p.Container) {
		if v, ok := inv.Flag("force"); ok && v != "false" {
			_ = w.tell(inv, func(ctx context.Context, c *control.Client) error { return c.Kill(ctx, unix.SIGKILL) })
		}
		return nil
	}
	if p.Creator.Alive() {
		return nil // it has still to read config.json, which must not become what it was
	}
	if c, err := control.Dial(p.Container); err == nil {
		_ = c.Stopped(context.Background())
		c.Close()
	}
	// A folder that cannot be removed now is swept later.
	_ = Discard(p)
	return nil
}

var (
	errExec = errors.New("exec is refused: the process would run unmonitored in a monitored container whose io.monmod.exec (or the operator's `exec`) is deny: look at it with `monmod events` and the engine's logs instead")

	errCheckpoint = errors.New("a monitored container cannot be checkpointed in this version: the other variants would go on without it")
)

// denies reports whether exec into the container is refused: by what held when it
// was made, or by what the operator has said since.
func (w *wrapper) denies(p *control.Plan) bool {
	return p.Exec == control.ExecDeny || w.operator.Exec == config.ExecDeny
}

// exec starts a process that is no part of the variant: it is recorded, or
// refused.
func (w *wrapper) exec(inv *Invocation) error {
	if inv.Doubt != "" {
		return w.passDoubtful(inv)
	}
	p, err := w.monitored(inv)
	if err != nil || p == nil {
		return err
	}
	if w.denies(p) {
		return errExec
	}
	// An event that cannot be delivered is no reason to refuse what is allowed:
	// without a supervisor the container is about to end.
	_ = w.tell(inv, func(ctx context.Context, c *control.Client) error { return c.Exec(ctx, execArgs(inv)) })
	if path, ok := inv.Flag("process"); (!ok || path == "") && p.Inject == control.InjectPreload {
		// Without a process file the low-level runtime takes the environment
		// from config.json, with the library in it.
		preload := stripPreload(variable(p.Process.Env, "LD_PRELOAD"))
		at := slices.Index(inv.Args, "exec") + 1
		inv.Args = slices.Insert(inv.Args, at, "--env", "LD_PRELOAD="+preload)
	}
	return nil
}

// maxExecArgs bounds what an event says of a command, in words.
const maxExecArgs = 64

// execArgs are the words of the process that is to be executed.
func execArgs(inv *Invocation) []string {
	args := inv.Operands
	if path, ok := inv.Flag("process"); ok {
		var process struct {
			Args []string `json:"args"`
		}
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			err = json.NewDecoder(io.LimitReader(f, maxSpec)).Decode(&process)
			f.Close()
		}
		if err != nil {
			return []string{"(" + err.Error() + ")"}
		}
		args = process.Args
	}
	shown := []string{}
	for _, a := range args[:min(len(args), maxExecArgs)] {
		shown = append(shown, a[:min(len(a), 1024)])
	}
	return shown
}

func (w *wrapper) checkpoint(inv *Invocation) error {
	if inv.Doubt != "" {
		return w.passDoubtful(inv)
	}
	p, err := w.monitored(inv)
	if err == nil && p != nil {
		return errCheckpoint
	}
	return err
}

// prestart asks the low-level runtime for its version.
func (w *wrapper) prestart() bool {
	out, err := runLowLevel(w.lowLevel, "--version")
	return err != nil || needsPrestart(string(out))
}

// describe puts an error into the words of an engine's log.
func describe(inv *Invocation, err error) error {
	what := "monmod-runtime"
	if inv != nil && inv.Command != "" {
		what += " " + inv.Command + " failed"
	}
	return fmt.Errorf("%s: %s", what, engineWords(err))
}
