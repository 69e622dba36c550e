package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/syscalls"
)

// errNoFolder is the one section that a process can lack by no fault of the library's.
var errNoFolder = errors.New("its working directory was deleted, or has too long a path: start it in another one")

// stateSections are what every HELLO must bring.
var stateSections = []struct {
	tag  uint32
	name string
	size int // bytes of its fixed size; 0: any
	unit int // bytes of one entry; 0: any
}{
	{abi.SecProgram, "PROGRAM", 0, 0},
	{abi.SecArgv, "ARGV", 0, 0},
	{abi.SecEnvp, "ENVP", 0, 0},
	{abi.SecCwd, "CWD", 0, 0},
	{abi.SecFds, "FDS", 0, 16},
	{abi.SecLimits, "LIMITS", 16 * 16, 0},
	{abi.SecIds, "IDS", 6 * 4, 0},
	{abi.SecGroups, "GROUPS", 0, 4},
	{abi.SecProcess, "PROCESS", binary.Size(abi.ProcessState{}), 0},
}

// readState copies the state object that came with HELLO and checks that it is whole. The descriptor is the variant's, so it
// must be sealed memory before it is read: a file of its choice could make a read wait for ever.
func readState(fd int) (abi.Sections, error) {
	const want = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&want != want {
		return nil, errors.New("its state is not a sealed memory object")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("look at its state: %w", err)
	}
	if st.Size < 0 || st.Size > abi.ObjectMax {
		return nil, fmt.Errorf("its state has %d bytes, at most %d are taken", st.Size, abi.ObjectMax)
	}
	b := make([]byte, st.Size)
	for done := 0; done < len(b); {
		n, err := unix.Pread(fd, b[done:], int64(done))
		if err != nil {
			return nil, fmt.Errorf("read its state: %w", err)
		}
		if n == 0 {
			return nil, fmt.Errorf("read its state: it ends after %d of %d bytes", done, len(b))
		}
		done += n
	}
	return parseState(b)
}

// parseState checks every section that another variant will be given.
func parseState(b []byte) (abi.Sections, error) {
	sections, err := abi.ParseSections(b)
	if err != nil {
		return nil, err
	}
	for _, s := range stateSections {
		body, there := sections[s.tag]
		switch {
		case !there && s.tag == abi.SecCwd:
			return nil, errNoFolder
		case !there:
			return nil, fmt.Errorf("its state lacks section %s", s.name)
		case s.size > 0 && len(body) != s.size, s.unit > 0 && len(body)%s.unit != 0:
			return nil, fmt.Errorf("section %s of its state has %d bytes", s.name, len(body))
		}
	}
	argv, err := abi.SplitStrings(sections[abi.SecArgv])
	if err != nil || len(argv) == 0 {
		return nil, fmt.Errorf("section ARGV of its state: %d arguments (%v)", len(argv), err)
	}
	if _, err := abi.SplitStrings(sections[abi.SecEnvp]); err != nil {
		return nil, fmt.Errorf("section ENVP of its state: %w", err)
	}
	fds, err := abi.DecodeAll[abi.FdEntry](sections[abi.SecFds])
	if err != nil {
		return nil, err
	}
	seen := make(map[uint32]bool)
	for _, f := range fds {
		if f.Fd > maxFdNumber || seen[f.Fd] || f.Kind > abi.KindPipe {
			return nil, fmt.Errorf("section FDS of its state: descriptor %d of kind %d is impossible or comes twice", f.Fd, f.Kind)
		}
		seen[f.Fd] = true
	}
	return sections, nil
}

// maxFdNumber is what fs.nr_open can be at most.
const maxFdNumber = 1<<31 - 64

// encodeState is the object that parseState takes.
func encodeState(sections abi.Sections) []byte {
	var b []byte
	for _, s := range stateSections {
		b = abi.AppendSection(b, s.tag, sections[s.tag])
	}
	return abi.AppendEnd(b)
}

// startObject is what every variant is given: the leader's state made everyone's, and what the group says of calls.
func startObject(leader abi.Sections, all []abi.Sections, mounts []byte, group *config.Group) ([]byte, error) {
	process, err := commonProcess(leader, all)
	if err != nil {
		return nil, err
	}
	fds, err := abi.DecodeAll[abi.FdEntry](leader[abi.SecFds])
	if err != nil {
		return nil, err
	}
	for i := range fds {
		fds[i].Klass = abi.FdLeader
	}
	env, err := abi.SplitStrings(leader[abi.SecEnvp])
	if err != nil {
		return nil, err
	}
	policy, err := syscalls.Policy(string(group.Policy))
	if err != nil {
		return nil, err
	}
	rules, err := encodeRules(group.Rules)
	if err != nil {
		return nil, err
	}
	changed := map[uint32][]byte{
		abi.SecEnvp: abi.JoinStrings(withoutOwn(env)),
		abi.SecFds:  abi.Append(nil, fds), abi.SecProcess: abi.Append(nil, process),
	}
	var b []byte
	for _, s := range stateSections {
		body, there := changed[s.tag]
		if !there {
			body = leader[s.tag]
		}
		b = abi.AppendSection(b, s.tag, body)
	}
	b = abi.AppendSection(b, abi.SecPolicy, policy)
	b = abi.AppendSection(b, abi.SecRules, rules)
	b = abi.AppendSection(b, abi.SecMounts, mounts)
	return abi.AppendEnd(b), nil
}

// commonProcess is the leader's process state with the processor features that all variants have.
func commonProcess(leader abi.Sections, all []abi.Sections) (abi.ProcessState, error) {
	var common abi.ProcessState
	if _, err := abi.Decode(leader[abi.SecProcess], &common); err != nil {
		return common, err
	}
	for _, sections := range all {
		var p abi.ProcessState
		if _, err := abi.Decode(sections[abi.SecProcess], &p); err != nil {
			return common, err
		}
		common.Hwcap &= p.Hwcap
		common.Hwcap2 &= p.Hwcap2
	}
	return common, nil
}

// withoutOwn drops the variables that are monmod's own.
func withoutOwn(env []string) []string {
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, "MONMOD_") {
			out = append(out, v)
		}
	}
	return out
}

// anyCall is a rule's number where the group says "*".
const anyCall = 0xffff

var (
	ruleChecks = map[config.Check]uint8{"": 0, config.CheckExempt: 1, config.CheckCompare: 2}
	ruleData   = map[config.Data]uint8{"": 0, config.DataLeader: 1, config.DataDiffers: 2, config.DataOwn: 3}
)

func encodeRules(rules []config.Rule) ([]byte, error) {
	var b []byte
	for _, r := range rules {
		nr, ok := uint16(anyCall), true
		if r.Call != "*" {
			nr, ok = syscalls.ByName(r.Call)
		}
		if !ok {
			return nil, fmt.Errorf("a rule for %q: there is no such call: docs/syscalls.md lists them", r.Call)
		}
		b = abi.AppendRule(b, abi.Rule{Nr: nr, Check: ruleChecks[r.Check], Data: ruleData[r.Data]}, r.Path)
	}
	return b, nil
}

// sealedObject is a memory object that nobody can change, for the START message. The caller closes it.
func sealedObject(body []byte) (fd int, err error) {
	o, err := newObject("start", len(body), body)
	if err != nil {
		return -1, err
	}
	if err := o.seal(unix.F_SEAL_WRITE | unix.F_SEAL_SEAL); err != nil {
		return -1, errors.Join(err, o.close())
	}
	return o.fd, nil
}
