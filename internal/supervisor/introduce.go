package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/keys"
	"github.com/monmod/monmod/internal/peer"
)

// commonTag is a section of the start state between supervisors, which no library sees: wireCommon.
const commonTag = 0x4e4f4d4d

// wireCommon is common as it travels.
type wireCommon struct {
	Key [2]uint64
	PID uint32
}

// introduce is what this supervisor says of its variant, and how the others are reached.
func (s *session) introduce(v *variant) (peer.Self, []peer.Peer, peer.Options, error) {
	fail := func(err error) (peer.Self, []peer.Peer, peer.Options, error) {
		return peer.Self{}, nil, peer.Options{}, &Failure{Code: ExitConfig, Err: err}
	}
	facts, err := s.facts(v)
	if err != nil {
		return fail(err)
	}
	self := peer.Self{Group: s.group.Name, ID: uint16(v.id), Digest: s.group.Digest(), Facts: facts, Start: s.startState(v)}
	opts := peer.Options{StartTimeout: s.group.StartTimeout, PeerTimeout: s.group.PeerTimeout, Logger: s.log}
	var others []peer.Peer
	for _, member := range s.group.Variants {
		at := endpoint(s.group, member)
		if member.ID == v.id {
			opts.Listen = at
			continue
		}
		others = append(others, peer.Peer{ID: uint16(member.ID), Network: at.Network, Address: at.Address})
	}
	if err := s.group.CheckKeys(v.id); err != nil {
		return fail(err)
	}
	switch {
	case !s.group.Networked():
		err = privateDir(peersDir())
	case s.group.Keys == config.KeysNone:
		opts.Plaintext = true
	default:
		opts.Keys, err = keys.Load(s.group.Keys, s.group.Name, v.id)
	}
	if err != nil {
		return fail(err)
	}
	return self, others, opts, nil
}

func peersDir() string { return filepath.Join(control.StateDir(), "peers") }

// endpoint is where a variant's supervisor listens. Without an address it is a socket of this host that two groups of one
// name share only if they mean the same.
func endpoint(g *config.Group, v config.Variant) peer.Endpoint {
	if v.Address != "" {
		return peer.Endpoint{Network: "tcp", Address: net.JoinHostPort(v.Address, strconv.Itoa(v.Port))}
	}
	digest := g.Digest()
	return peer.Endpoint{Network: "unix", Address: filepath.Join(peersDir(), hex.EncodeToString(digest[:8])+"."+strconv.Itoa(v.ID))}
}

// startState is what the other supervisors need to start their variants alike.
func (s *session) startState(v *variant) []byte {
	var b []byte
	if v.leads() {
		b = abi.AppendSection(b, commonTag, abi.Append(nil, wireCommon{s.key, s.leaderPID}))
	}
	return append(b, encodeState(v.hello)...)
}

// facts are what has to be the same in all variants, and what must not.
func (s *session) facts(v *variant) ([]peer.Fact, error) {
	argv, err := abi.SplitStrings(v.hello[abi.SecArgv])
	if err != nil {
		return nil, err
	}
	digest, err := fileDigest(v)
	if err != nil {
		return nil, err
	}
	var ids [6]uint32
	if _, err := abi.Decode(v.hello[abi.SecIds], &ids); err != nil {
		return nil, err
	}
	facts := []peer.Fact{
		{Name: "library protocol", Value: strconv.Itoa(ProtocolVersion), MustEqual: true, Remedy: "install the same monmod for all variants"},
		{Name: "processor", Value: runtime.GOARCH, MustEqual: true, Remedy: "variants of different processors are not in this version"},
		{Name: "program file", Value: digest, MustEqual: s.group.Program != config.ProgramDiffers,
			Remedy: "run the same program file everywhere, or write program: differs"},
		{Name: "arguments", Value: clipped(strings.Join(argv[1:], "\x00")), MustEqual: true, Remedy: "start all variants with the same arguments"},
		{Name: "working directory", Value: clipped(string(v.hello[abi.SecCwd])), MustEqual: true, Remedy: "start all variants in the same folder"},
		{Name: "user", Value: fmt.Sprint(ids), MustEqual: true, Remedy: "start all variants as the same user and group"},
	}
	for _, base := range []struct {
		name  string
		value uint64
	}{{"monitor", v.bases.Monitor}, {"program", v.bases.Program}, {"interpreter", v.bases.Interp}, {"stack", v.bases.Stack}, {"mmap", v.bases.Mmap}} {
		facts = append(facts, peer.Fact{Name: "base of the " + base.name, Value: fmt.Sprintf("%#x", base.value), MustDiffer: true,
			Remedy: "start the group anew: the bases are drawn at random"})
	}
	for _, key := range s.group.Meaning() {
		facts = append(facts, peer.Fact{Name: key.Key + " in the group file", Value: clipped(key.Value), MustEqual: true,
			Remedy: "give all variants the same group file"})
	}
	return facts, nil
}

// maxFact is what a fact may hold; longer ones are compared by digest.
const maxFact = 60 << 10

func clipped(value string) string {
	if len(value) <= maxFact {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return fmt.Sprintf("%d bytes, sha256 %x", len(value), sum)
}

// fileDigest is that of the variant's program.
func fileDigest(v *variant) (string, error) {
	f, err := openProgram(v)
	if err != nil {
		return "", fmt.Errorf("compare the program file of %s: %w", v, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("compare the program file of %s: %w", v, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// openProgram opens a variant's program as the variant itself finds it: it may live in a container, whose links lead nowhere
// else, and a name without a slash is looked for in its own PATH.
func openProgram(v *variant) (*os.File, error) {
	root, err := os.Open(fmt.Sprintf("/proc/%d/root", v.pid))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name, cwd := string(v.hello[abi.SecProgram]), string(v.hello[abi.SecCwd])
	dirs := []string{""}
	if !strings.Contains(name, "/") {
		env, err := abi.SplitStrings(v.hello[abi.SecEnvp])
		if err != nil {
			return nil, err
		}
		dirs = filepath.SplitList(searchPath(env))
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if !filepath.IsAbs(path) {
			path = filepath.Join(cwd, path)
		}
		how := &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
		fd, openErr := unix.Openat2(int(root.Fd()), path, how)
		if openErr != nil {
			err = &os.PathError{Op: "open", Path: path, Err: openErr}
			continue
		}
		f := os.NewFile(uintptr(fd), path)
		info, statErr := f.Stat()
		if statErr == nil && info.Mode().IsRegular() && (info.Mode()&0o111 != 0 || len(dirs) == 1) {
			return f, nil
		}
		err = errors.Join(statErr, f.Close(), fmt.Errorf("%s is no program", path))
	}
	return nil, err
}
