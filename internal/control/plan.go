package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// PlanVersion is the version of the plan's form that this build reads and writes.
const PlanVersion = 1

// Modes of a plan.
const (
	// ModeVariants: the container is the leader of a group whose followers the
	// runtime derived from the same bundle. One supervisor serves them all.
	ModeVariants = "variants"
	// ModeOne: the container is one variant; the others are containers elsewhere.
	ModeOne = "one"
)

// Ways in which the library gets into the program's process.
const (
	InjectLaunch  = "launch"
	InjectPreload = "preload"
)

// What happens to a process that an engine executes inside the container.
const (
	ExecAllow = "allow"
	ExecDeny  = "deny"
)

// Plan is everything that a supervisor must know of one monitored container.
// The runtime writes it at create, validated, before the low-level runtime
// starts; nobody changes it afterwards. Paths are absolute host paths unless
// something else is said.
type Plan struct {
	Version   int    `json:"version"`
	Container string `json:"container"`
	Root      string `json:"root"`   // the engine's state folder of the low-level runtime
	Bundle    string `json:"bundle"` // holds config.json
	// Spec is the bundle's specification, and Rewritten the SHA-256 of what was made of it, in hexadecimal. As it was before
	// it lies beside it.
	Spec      string `json:"spec"`
	Rewritten string `json:"rewritten"`
	// Creator is the process that wrote the plan and then becomes the low-level runtime. Until it ends it may still have to
	// read Spec.
	Creator ProcessID `json:"creator"`
	// Command is the command that made the container: create or run. After run
	// nobody sends start: the time to say hello begins at init.
	Command string    `json:"command"`
	Runtime LowLevel  `json:"runtime"`
	Created time.Time `json:"created"`

	Mode     string `json:"mode"`     // ModeVariants or ModeOne
	Variants int    `json:"variants"` // size of the group with ModeVariants, else 0
	Variant  int    `json:"variant"`  // the ID of this container in the group
	// GroupFile is the group's file, symbolic links resolved; empty where the
	// group is made of Variants and Settings alone.
	GroupFile string    `json:"group_file,omitempty"`
	Settings  []Setting `json:"settings,omitempty"`
	Inject    string    `json:"inject"` // InjectLaunch or InjectPreload
	Exec      string    `json:"exec"`   // ExecAllow or ExecDeny

	Process   Process    `json:"process"`
	Library   string     `json:"library"` // libmonmod.so, also mapped read-only into the variant
	Token     string     `json:"token"`   // 64 hexadecimal digits, said once in hello
	Dev       string     `json:"dev"`     // DevDir; the supervisor makes HelloFile in it, mode 0666
	Followers []Follower `json:"followers,omitempty"`
}

// LowLevel is the runtime that makes the containers.
type LowLevel struct {
	Path string `json:"path"`
	// Args are the global flags that followers need too, such as --systemd-cgroup.
	Args []string `json:"args,omitempty"`
}

// Setting is one key of the group that was set beside the file; From names
// where ("annotation io.monmod.policy"), for errors.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Process is the program as the engine asked for it, before any rewriting.
type Process struct {
	Args     []string `json:"args"`
	Env      []string `json:"env"`     // MONMOD_* included
	Cwd      string   `json:"cwd"`     // in the container
	Program  string   `json:"program"` // path in the container that Args[0] was found at
	UID      uint32   `json:"uid"`
	GID      uint32   `json:"gid"`
	Groups   []uint32 `json:"groups,omitempty"`
	Terminal bool     `json:"terminal"`
	Rootfs   string   `json:"rootfs"` // on the host
}

// Follower is a variant that was derived from the leader's bundle.
type Follower struct {
	ID        int    `json:"id"`        // in the group
	Container string `json:"container"` // name below FollowersRoot
	Bundle    string `json:"bundle"`
	Token     string `json:"token"`
	Dev       string `json:"dev"` // as Plan.Dev
}

// Dir is the folder of the plan's container.
func (p *Plan) Dir() string { return ContainerDir(p.Container) }

// Name tells the plan from others of the same container: one that was deleted and
// created again. It is no secret, unlike the token that it is made of.
func (p *Plan) Name() string {
	sum := sha256.Sum256([]byte(p.Token))
	return hex.EncodeToString(sum[:8])
}

// Hello is the path of the socket on which the container's library says hello.
func (p *Plan) Hello() string { return filepath.Join(p.Dev, HelloFile) }

// Hello is the path of the socket on which the follower's library says hello.
func (f *Follower) Hello() string { return filepath.Join(f.Dev, HelloFile) }

// maxPlan bounds plan.json: arguments and environment are at most 2 MiB for
// exec, and JSON can make six bytes out of one.
const maxPlan = 16 << 20

// Write stores the plan as plan.json, mode 0600, in its container's folder,
// which must exist.
func (p *Plan) Write() error {
	data, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return fmt.Errorf("encode the plan of container %s: %w", p.Container, err)
	}
	path := filepath.Join(p.Dir(), PlanFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the plan of container %s: %w", p.Container, err)
	}
	_, err = f.Write(append(data, '\n'))
	return errors.Join(err, f.Close())
}

// LoadPlan reads the plan of a container. The error is fs.ErrNotExist where
// the container is not monitored.
func LoadPlan(id string) (*Plan, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	path := filepath.Join(ContainerDir(id), PlanFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("container %s is not monitored: %w", id, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("read the plan of container %s: %w", id, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPlan+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	p, err := parsePlan(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if p.Container != id {
		return nil, fmt.Errorf("read %s: it is the plan of container %q: delete the container and create it again", path, p.Container)
	}
	return p, nil
}

func parsePlan(data []byte) (*Plan, error) {
	if len(data) > maxPlan {
		return nil, fmt.Errorf("more than %d bytes", maxPlan)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	p := new(Plan)
	if err := d.Decode(p); err != nil {
		return nil, err
	}
	if p.Version != PlanVersion {
		return nil, fmt.Errorf("plan of version %d, this is version %d: create the container again with this version", p.Version, PlanVersion)
	}
	return p, p.check()
}

// check finds what cannot come from a runtime of this version.
func (p *Plan) check() error {
	if err := CheckID(p.Container); err != nil {
		return err
	}
	if p.Mode != ModeVariants && p.Mode != ModeOne {
		return fmt.Errorf("unknown mode %q", p.Mode)
	}
	if p.Inject != InjectLaunch && p.Inject != InjectPreload {
		return fmt.Errorf("unknown injection %q", p.Inject)
	}
	if p.Exec != ExecAllow && p.Exec != ExecDeny {
		return fmt.Errorf("unknown exec rule %q", p.Exec)
	}
	if (p.Mode == ModeVariants) != (len(p.Followers) > 0) || len(p.Followers) != max(p.Variants-1, 0) {
		return fmt.Errorf("mode %s with %d followers for %d variants", p.Mode, len(p.Followers), p.Variants)
	}
	if len(p.Process.Args) == 0 {
		return errors.New("no program")
	}
	for name, path := range map[string]string{"root": p.Root, "bundle": p.Bundle, "runtime": p.Runtime.Path, "library": p.Library, "dev": p.Dev} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%s %q is not an absolute path", name, path)
		}
	}
	if p.GroupFile != "" && !filepath.IsAbs(p.GroupFile) {
		return fmt.Errorf("group file %q is not an absolute path", p.GroupFile)
	}
	tokens := []string{p.Token}
	for _, f := range p.Followers {
		if err := CheckID(f.Container); err != nil {
			return err
		}
		if !strings.HasPrefix(f.Bundle, p.Dir()+"/") || filepath.Clean(f.Bundle) != f.Bundle {
			return fmt.Errorf("follower %d: bundle %q lies outside %s", f.ID, f.Bundle, p.Dir())
		}
		tokens = append(tokens, f.Token)
	}
	for _, t := range tokens {
		if len(t) != 64 || strings.Trim(t, "0123456789abcdef") != "" {
			return errors.New("a token that is not 64 hexadecimal digits")
		}
	}
	return nil
}
