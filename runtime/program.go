package runtime

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/control"
)

// A program that is not there is found here, since what the low-level runtime
// is given to start is the library. The wording of the errors is what engines
// make exit codes 127 and 126 of.
var errNotInPath = errors.New("executable file not found in $PATH")

// maxScripts is how many scripts the kernel starts in a row.
const maxScripts = 4

// findProgram looks for the program as the container would: with the PATH of
// its environment, from its working directory, in its own file system. It
// returns the path in the container at which it was found, and refuses what
// cannot be a variant.
func findProgram(b *Bundle, way string) (string, error) {
	p := b.Spec.Process
	t, err := openTree(b)
	if err != nil {
		return "", fmt.Errorf("open the container's root: %w", err)
	}
	defer t.close()
	name := p.Args[0]
	found, err := t.search(name, p)
	if err != nil {
		return "", programError{fmt.Errorf("unable to start container process: exec: %q: %w", name, err)}
	}
	if err := t.judge(found, p, way); err != nil {
		return "", fmt.Errorf("%s cannot be a variant: %w", found, err)
	}
	return found, nil
}

// search returns where name is found. What lies in a file system that does not
// exist yet counts as found.
func (t *tree) search(name string, p *specs.Process) (string, error) {
	if name == "" {
		return "", errNotInPath
	}
	if strings.Contains(name, "/") {
		at := name
		if !path.IsAbs(at) {
			at = p.Cwd + "/" + at // ".." is resolved with the links
		}
		if err := t.executable(at, p.User); err != nil {
			if !errors.Is(err, fs.ErrPermission) {
				err = fmt.Errorf("stat %s: %w", name, bare(err))
			}
			return "", err
		}
		return at, nil
	}
	for _, dir := range strings.Split(variable(p.Env, "PATH"), ":") {
		if !path.IsAbs(dir) {
			dir = path.Join(p.Cwd, dir)
		}
		at := path.Join(dir, name)
		if t.executable(at, p.User) == nil {
			return at, nil
		}
	}
	return "", errNotInPath
}

// bare takes the path off an error whose text names it elsewhere.
func bare(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return syscall.ENOENT
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func variable(env []string, name string) string {
	v := ""
	for _, e := range env {
		if text, ok := strings.CutPrefix(e, name+"="); ok {
			v = text
		}
	}
	return v
}

// executable says why user may not execute the file at name.
func (t *tree) executable(name string, user specs.User) error {
	at, err := t.resolve(name, false)
	if errors.Is(err, errUnseen) {
		return nil
	}
	if err != nil {
		return err
	}
	info, _, err := t.look(at)
	if errors.Is(err, errUnseen) {
		return nil
	}
	if err != nil {
		return err
	}
	if p, ok := t.place(at); !info.Mode().IsRegular() || ok && p.noexec || !t.mayExecute(at, info, user) {
		return fs.ErrPermission
	}
	return nil
}

// mayExecute applies the mode's bits as the kernel does. A file with an access
// control list is left to the kernel.
func (t *tree) mayExecute(name string, info fs.FileInfo, user specs.User) bool {
	mode := info.Mode().Perm()
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || user.UID == 0 || mode&0o111 == 0 {
		return mode&0o111 != 0
	}
	bit := fs.FileMode(0o001)
	switch {
	case owner.Uid == user.UID:
		bit = 0o100
	case owner.Gid == user.GID || slices.Contains(user.AdditionalGids, owner.Gid):
		bit = 0o010
	}
	if mode&bit != 0 {
		return true
	}
	f, err := t.open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	n, err := unix.Fgetxattr(int(f.Fd()), "system.posix_acl_access", nil)
	return err == nil && n > 0
}

// judge looks into the program, and into the interpreter where it is a script,
// for what the library cannot run. What cannot be seen or read is left to it.
func (t *tree) judge(name string, p *specs.Process, way string) error {
	for range maxScripts {
		at, err := t.resolve(name, false)
		if err != nil {
			return nil
		}
		f, err := t.open(at)
		if err != nil {
			return nil
		}
		interpreter, err := judgeFile(f, p, way)
		f.Close()
		if err != nil || interpreter == "" {
			return err
		}
		if name = interpreter; !path.IsAbs(name) {
			name = path.Join(p.Cwd, name)
		}
	}
	return nil
}

// judgeFile judges one file and returns the interpreter of a script.
func judgeFile(f *os.File, p *specs.Process, way string) (string, error) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", nil
	}
	head = head[:n]
	if line, ok := strings.CutPrefix(string(head), "#!"); ok {
		line, _, _ = strings.Cut(line, "\n")
		if words := strings.Fields(line); len(words) > 0 {
			return words[0], nil
		}
		return "", nil
	}
	kind := examine(head, f)
	switch {
	case kind == foreignImage:
		return "", errors.New("it is no program for x86-64, the one processor that this version monitors")
	case way != control.InjectPreload:
	case kind == staticImage:
		return "", fmt.Errorf("it is statically linked, and the dynamic linker is what reads LD_PRELOAD: use %sinject: launch, which is the default", AnnotationPrefix)
	case info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 && !p.NoNewPrivileges:
		return "", fmt.Errorf("it changes its user or group when it starts, and the dynamic linker then ignores LD_PRELOAD: use %sinject: launch, which is the default", AnnotationPrefix)
	case raisesCapabilities(f, p):
		return "", fmt.Errorf("its file has capabilities, and the dynamic linker then ignores LD_PRELOAD: use %sinject: launch, which is the default", AnnotationPrefix)
	}
	return "", nil
}

// raisesCapabilities reports whether the kernel starts the file in secure mode
// for the capabilities that it has. It does so under no_new_privs too, and never
// for root. What cannot be read counts as some.
func raisesCapabilities(f *os.File, p *specs.Process) bool {
	if p.User.UID == 0 {
		return false
	}
	_, err := unix.Fgetxattr(int(f.Fd()), "security.capability", nil)
	return !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP)
}
