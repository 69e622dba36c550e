package syscalls

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind is the meaning of one argument, see the argument language at Table.
type Kind uint8

const (
	KindNone Kind = iota
	KindU64
	KindInt
	KindFD
	KindDirFD
	KindPtr
	KindSkip
	KindPath
	KindIn      // Size bytes, times argument Ref where there is one
	KindOut     // Size bytes, times argument Ref where there is one
	KindOutRet  // result × Size bytes; room: argument Ref × Size
	KindIO      // read and written
	KindIOVIn   // count: argument Ref
	KindIOVOut  // count: argument Ref
	KindAddrIn  // length: argument Ref
	KindAddrOut // length: pointed to by argument Ref
	KindLenP
	KindSigset
	KindBits  // highest descriptor + 1: argument Ref
	KindPolls // struct pollfd, count: argument Ref
)

var kindNames = map[string]Kind{"u64": KindU64, "int": KindInt, "fd": KindFD, "dirfd": KindDirFD, "ptr": KindPtr, "skip": KindSkip,
	"path": KindPath, "in": KindIn, "out": KindOut, "io": KindIO, "iovin": KindIOVIn, "iovout": KindIOVOut,
	"addrin": KindAddrIn, "addrout": KindAddrOut, "lenp": KindLenP, "sigset": KindSigset, "bits": KindBits, "polls": KindPolls}

// NoRef stands for "no other argument" in Arg.Ref.
const NoRef = 0xff

// Arg is one parsed argument of a row.
type Arg struct {
	Name     string
	Kind     Kind
	Optional bool
	Ref      uint8  // index of another argument, or NoRef
	Size     uint16 // bytes of one element
}

// Arguments parses the row's argument string. A table with a mistake does not get past the tests, so callers that
// start from Table may take the error for impossible.
func (r *Row) Arguments() ([]Arg, error) {
	fields := strings.Fields(r.Args)
	if len(fields) > 6 {
		return nil, fmt.Errorf("%s: %d arguments, a call has six at most", r.Name, len(fields))
	}
	index := map[string]uint8{}
	for i, f := range fields {
		name, _, _ := strings.Cut(f, ":")
		index[name] = uint8(i)
	}
	args := make([]Arg, 0, len(fields))
	for _, f := range fields {
		name, kind, ok := strings.Cut(f, ":")
		if !ok {
			return nil, fmt.Errorf("%s: argument %q has no kind", r.Name, f)
		}
		a := Arg{Name: name, Ref: NoRef, Size: 1}
		if rest, opt := strings.CutPrefix(kind, "opt:"); opt {
			a.Optional, kind = true, rest
		}
		word, inner, _ := strings.Cut(strings.TrimSuffix(kind, ")"), "(")
		a.Kind, ok = kindNames[word]
		if !ok {
			return nil, fmt.Errorf("%s: argument %s has the unknown kind %q", r.Name, name, word)
		}
		if rest, ret := strings.CutPrefix(inner, "="); ret {
			a.Kind, inner = KindOutRet, strings.TrimPrefix(rest, "*")
		}
		if err := a.extent(inner, index); err != nil {
			return nil, fmt.Errorf("%s: argument %s: %w", r.Name, name, err)
		}
		args = append(args, a)
	}
	return args, nil
}

// extent parses what stands in parentheses: N, #ref, #ref*N or N#ref.
func (a *Arg) extent(s string, index map[string]uint8) error {
	if s == "" {
		return nil
	}
	size, ref, hasRef := strings.Cut(s, "#")
	if hasRef {
		if before, after, ok := strings.Cut(ref, "*"); ok {
			ref, size = before, after
		}
		i, ok := index[ref]
		if !ok {
			return fmt.Errorf("no argument is called %q", ref)
		}
		a.Ref = i
	}
	if size == "" {
		return nil
	}
	n, err := strconv.ParseUint(size, 10, 16)
	if err != nil {
		return fmt.Errorf("size %q: %w", size, err)
	}
	a.Size = uint16(n)
	return nil
}
