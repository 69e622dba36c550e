package runtime

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/kmod"
)

// defaultConfig is the specification's file name in a bundle.
const defaultConfig = "config.json"

// create decides what becomes of a container that is about to be made, and
// makes everything ready where it is to be monitored.
func (w *wrapper) create(inv *Invocation) error {
	if inv.nameless {
		return fmt.Errorf("no container ID was given: monmod-runtime %s --bundle DIR ID", inv.Command)
	}
	if inv.Doubt != "" {
		return w.doubtful(inv)
	}
	b, err := readBundleOf(inv)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the low-level runtime says so in its own words
	}
	if err != nil {
		return err
	}
	r, err := w.asks(b)
	if err != nil || r == nil {
		return err
	}
	if err := checkHost(); err != nil {
		return err
	}
	if inv.Command == "restore" {
		return errors.New("a monitored container cannot be restored: the processes of a checkpoint would run unmonitored. Start it anew, or restore it without monitoring")
	}
	p, err := w.plan(inv, b, r)
	if err != nil {
		return err
	}
	return w.commit(p, b, r)
}

func readBundleOf(inv *Invocation) (*Bundle, error) {
	dir, ok := inv.Flag("bundle")
	if !ok || dir == "" {
		dir = "."
	}
	name, ok := inv.Flag("config")
	if !ok || name == "" {
		name = defaultConfig
	}
	return ReadBundle(dir, name)
}

// asks returns what a container asks for, nil where it may run unmonitored.
func (w *wrapper) asks(b *Bundle) (request, error) {
	if isSandbox(b.Spec.Annotations) {
		return nil, nil
	}
	var env []string
	if b.Spec.Process != nil {
		env = b.Spec.Process.Env
	}
	r, err := readRequest(b.Spec.Annotations, env)
	if err != nil || r != nil {
		return r, err
	}
	if w.require || w.operator.Require {
		return nil, errors.New("the container does not ask for monitoring, and this host requires it (--require, or `require: true` in the operator file): set the annotation io.monmod.variants or the variable MONMOD_VARIANTS, or io.monmod.id with io.monmod.config")
	}
	return nil, nil
}

// plan checks everything that can be checked and says what is to be done.
// Nothing is changed yet.
func (w *wrapper) plan(inv *Invocation, b *Bundle, r request) (*control.Plan, error) {
	if err := control.CheckID(inv.Container); err != nil {
		return nil, err
	}
	if err := checkSpec(b); err != nil {
		return nil, err
	}
	root, err := engineRoot(inv, w.lowLevel)
	if err != nil {
		return nil, err
	}
	creator, err := control.IdentifyProcess(os.Getpid())
	if err != nil {
		return nil, err
	}
	spec := b.Spec.Process
	p := &control.Plan{
		Version: control.PlanVersion, Container: inv.Container, Root: root, Bundle: b.Dir, Command: inv.Command, Creator: creator,
		Runtime: control.LowLevel{Path: w.lowLevel, Args: followerFlags(inv)}, Created: time.Now().UTC().Truncate(time.Second),
		Process: control.Process{
			Args: stripWords(spec.Args), Env: spec.Env, Cwd: spec.Cwd, Terminal: spec.Terminal, Rootfs: b.Rootfs(),
			UID: spec.User.UID, GID: spec.User.GID, Groups: spec.User.AdditionalGids,
		},
	}
	spec.Args = p.Process.Args
	if err := r.fill(p, w.operator); err != nil {
		return nil, err
	}
	group, err := p.LoadGroup(w.operator)
	if err != nil {
		return nil, err
	}
	if err := CheckBackend(group); err != nil {
		return nil, err
	}
	if group.Backend == config.BackendKmod || group.Backend == config.BackendAuto && kmod.Loaded() {
		if err := checkCalls(b.Spec.Linux.Seccomp, moduleCalls); err != nil {
			return nil, err
		}
	}
	if p.Mode == control.ModeVariants {
		p.Variant = group.Leader
	}
	if p.Library, err = FindLibrary(w.self); err != nil {
		return nil, err
	}
	if _, err := FindSupervisor(w.self); err != nil {
		return nil, err
	}
	if p.Process.Program, err = findProgram(b, p.Inject); err != nil {
		return nil, err
	}
	p.Token, p.Dev = newToken(), filepath.Join(p.Dir(), control.DevDir)
	if p.Mode == control.ModeVariants {
		for _, v := range group.Followers() {
			bundle := filepath.Join(p.Dir(), "follower-"+strconv.Itoa(v.ID))
			p.Followers = append(p.Followers, control.Follower{ID: v.ID, Container: p.Container + "." + strconv.Itoa(v.ID),
				Bundle: bundle, Token: newToken(), Dev: filepath.Join(bundle, control.DevDir)})
		}
	}
	return p, nil
}

// CheckBackend refuses a group whose back end this host does not have. It loads
// the kernel module for one that asks for it, and for one that asks for the best
// where the module is installed; that one does without it where it cannot be had.
func CheckBackend(g *config.Group) error {
	wants := g.Backend == config.BackendKmod
	if !wants && (g.Backend != config.BackendAuto || !kmod.Installed()) {
		return nil
	}
	if err := kmod.Load(""); err != nil && wants {
		return fmt.Errorf("backend kmod: %w", err)
	}
	return nil
}

// stripWords is stripArgs for decoded arguments.
func stripWords(args []string) []string {
	if len(args) > 6 && args[0] == guestLibrary && args[1] == "--socket" && args[3] == "--token" && args[5] == "--" {
		return args[6:]
	}
	return args
}

func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// commit writes the container's folder and, last of all, its config.json. What
// it began it takes back where it fails.
func (w *wrapper) commit(p *control.Plan, b *Bundle, r request) (err error) {
	unlock, err := lockState()
	if err != nil {
		return err
	}
	defer unlock()
	sweep()
	if err := claim(p); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(p.Dir())
			if p.Rewritten != "" {
				os.Remove(before(p.Spec, p.Rewritten))
			}
		}
	}()
	if err := makeDev(p.Dev); err != nil {
		return err
	}
	for i := range p.Followers {
		if err := writeFollower(p, &p.Followers[i], b); err != nil {
			return err
		}
	}
	hooks := &hookLine{self: w.self, container: p.Container, plan: p.Name(), prestart: w.prestart()}
	raw, err := monitored(p, b, r, hooks)
	if err != nil {
		return err
	}
	data, err := encode(raw)
	if err != nil {
		return fmt.Errorf("encode %s: %w", b.Path, err)
	}
	data = append(data, '\n')
	if err := keepOriginal(p, b, data); err != nil {
		return err
	}
	if err := p.Write(); err != nil {
		return err
	}
	if err := store(b.Path, data); err != nil {
		return err
	}
	// What else was put aside became bytes that are nowhere any more.
	_ = forgetOriginals(p.Spec, p.Rewritten)
	return nil
}

// monitored is the leader's specification: what was asked for, and the library
// in the program's way.
func monitored(p *control.Plan, b *Bundle, r request, hooks *hookLine) (object, error) {
	raw := object{}
	for k, v := range b.raw {
		raw[k] = v
	}
	in := &injection{way: p.Inject, library: p.Library, dev: p.Dev, token: p.Token, variant: p.Variant, group: p.GroupFile, hooks: hooks}
	if err := in.inject(raw); err != nil {
		return nil, err
	}
	return raw, keepRequest(raw, r)
}

// makeDev makes the folder that the variant sees at /dev/monmod. The library is
// mounted over a file in it, because what the program executes must not lie on
// /run, which hosts mount noexec.
func makeDev(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, 0o755) // whatever the umask is: any user of the container must get through
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, control.LibraryFile), nil, 0o444)
	}
	if err != nil {
		return fmt.Errorf("make the folder of the monitor's socket: %w", err)
	}
	return nil
}

func writeFollower(p *control.Plan, f *control.Follower, b *Bundle) error {
	in := &injection{way: p.Inject, library: p.Library, dev: f.Dev, token: f.Token, variant: f.ID, group: p.GroupFile}
	raw, err := derive(b, in, "."+strconv.Itoa(f.ID))
	if err != nil {
		return err
	}
	data, err := encode(raw)
	if err != nil {
		return fmt.Errorf("encode the specification of follower %d: %w", f.ID, err)
	}
	if err := os.Mkdir(f.Bundle, 0o700); err != nil {
		return fmt.Errorf("make the bundle of follower %d: %w", f.ID, err)
	}
	if err := makeDev(f.Dev); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.Bundle, defaultConfig), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the specification of follower %d: %w", f.ID, err)
	}
	return nil
}
