package syscalls

import "fmt"

var byName = func() map[string]uint16 {
	m := make(map[string]uint16, len(Table)+len(Spellings))
	for i := range Table {
		m[Table[i].Name] = uint16(i)
	}
	for _, s := range Spellings {
		m[s.Name] = m[s.To]
	}
	return m
}()

var parsed = func() [][]Arg {
	all := make([][]Arg, len(Table))
	for i := range Table {
		args, err := Table[i].Arguments()
		if err != nil {
			panic(err) // a mistake in the table itself; TestTable names it
		}
		all[i] = args
	}
	return all
}()

// ByName gives the canonical number of a call by its own name or that of an older spelling.
func ByName(name string) (nr uint16, ok bool) {
	nr, ok = byName[name]
	return nr, ok
}

// Name gives the name of a canonical number; numbers without a row are shown as such.
func Name(nr uint16) string {
	if int(nr) < len(Table) {
		return Table[nr].Name
	}
	return fmt.Sprintf("call#%d", nr)
}

// Arg gives the description of a call's argument; ok is false where there is none.
func ArgOf(nr uint16, arg int) (a Arg, ok bool) {
	if int(nr) >= len(Table) || arg < 0 || arg >= len(parsed[nr]) {
		return Arg{}, false
	}
	return parsed[nr][arg], true
}

// ArgName gives the name of an argument, or "argN".
func ArgName(nr uint16, arg int) string {
	if a, ok := ArgOf(nr, arg); ok {
		return a.Name
	}
	return fmt.Sprintf("arg%d", arg)
}

// ArgKind gives what an argument is, in one word of the argument language: fd, dirfd, path, int, u64, in, out, addrin …
func ArgKind(nr uint16, arg int) string {
	a, ok := ArgOf(nr, arg)
	if !ok {
		return "u64"
	}
	if a.Kind == KindOutRet {
		return "out"
	}
	for name, k := range kindNames {
		if k == a.Kind {
			return name
		}
	}
	return "u64"
}

// Bits of the POLICY section, MM_POL_* in include/monmod/start.h.
const (
	ExemptFile   = 1
	ExemptSocket = 2
)

// Policy gives, per canonical number, on what kind of descriptor a policy exempts the call from comparison.
func Policy(name string) ([]byte, error) {
	rung := -1
	for i, p := range Policies {
		if p == name {
			rung = i
		}
	}
	if rung < 0 {
		return nil, fmt.Errorf("policy %q: unknown; say one of %v", name, Policies)
	}
	out := make([]byte, len(Table))
	for i, r := range Table {
		if r.File != NoRung && int(r.File) <= rung {
			out[i] |= ExemptFile
		}
		if r.Socket != NoRung && int(r.Socket) <= rung {
			out[i] |= ExemptSocket
		}
	}
	return out, nil
}
