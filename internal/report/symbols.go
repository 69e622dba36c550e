package report

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strings"
	"time"
)

// Bounds on one ELF file: it is the program's, and the program may be hostile.
const (
	maxELFBytes   = 512 << 20
	maxTableBytes = 32 << 20 // a symbol or string table
	maxDWARFBytes = 64 << 20 // all debug sections together, unpacked
	symbolTime    = 2 * time.Second
)

// Frame is one code address by name.
type Frame struct {
	Address Hex    `json:"address"`
	Module  string `json:"module,omitempty"` // file name, [stack] …; empty: nothing is mapped there
	Symbol  string `json:"symbol,omitempty"`
	Offset  Hex    `json:"offset"` // from the symbol; without one from the module's lowest address
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// String gives libc.so.6!write+0x14 (write.c:26).
func (f Frame) String() string {
	switch {
	case f.Module == "":
		return f.Address.String() + " (nothing is mapped there)"
	case f.Symbol == "":
		return fmt.Sprintf("%s+%s", clean(f.Module), f.Offset)
	case f.File == "":
		return fmt.Sprintf("%s!%s+%s", clean(f.Module), clean(f.Symbol), f.Offset)
	}
	return fmt.Sprintf("%s!%s+%s (%s:%d)", clean(f.Module), clean(f.Symbol), f.Offset, clean(f.File), f.Line)
}

// Symbolise names one code address. It never fails: what cannot be found is missing in the Frame.
func Symbolise(m *Maps, addr uint64) Frame { return m.frame(addr, addr) }

// Backtrace names the place where a variant stood and its return addresses, innermost first. A return address is looked up
// by the call before it, which may be the last instruction of its function.
func Backtrace(m *Maps, ip uint64, returns []uint64) []Frame {
	frames := []Frame{m.frame(ip, ip)}
	for _, addr := range returns[:min(len(returns), MaxFrames-1)] {
		frames = append(frames, m.frame(addr, addr-1))
	}
	return frames
}

// frame names addr by what lies at look.
func (m *Maps) frame(addr, look uint64) Frame {
	f := Frame{Address: Hex(addr)}
	mp, ok := m.find(look)
	if !ok {
		return f
	}
	f.Module, f.Offset = short(mp.module.name()), Hex(addr-mp.start)
	if f.Module == "" {
		f.Module = "[anonymous]"
		return f
	}
	f.Offset = Hex(addr - m.base(mp.module))
	if s := m.modules[mp.module]; s != nil {
		m.timed(func() { s.name(&f, look-mp.start+mp.offset, addr-look) })
	}
	return f
}

// symbols are the functions and lines of one ELF file, read when the first address is asked for.
type symbols struct {
	file   *os.File // nil: not to be had
	tables *tables  // nil until loaded
}

type tables struct {
	loads []elf.ProgHeader
	funcs []elf.Symbol // by address
	lines *dwarf.Data
}

func (s *symbols) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

func (s *symbols) load() *tables {
	if s.tables == nil {
		s.tables = &tables{}
		if file := s.file; file != nil {
			got := within(symbolTime, func() *tables { return readTables(file) }, func(*tables) {})
			if got != nil {
				s.tables = got
			}
		}
	}
	return s.tables
}

// name fills what is known of the offset in the file; beyond is added to the distance from the symbol.
func (s *symbols) name(f *Frame, offset, beyond uint64) {
	if name, at, ok := s.lookup(offset); ok {
		f.Symbol, f.Offset = short(name), Hex(at+beyond)
		file, line := s.line(offset)
		f.File, f.Line = short(file), line
	}
}

// lookup gives the function at an offset in the file, and how far into it.
func (s *symbols) lookup(offset uint64) (string, uint64, bool) {
	t := s.load()
	addr, ok := t.address(offset)
	if !ok {
		return "", 0, false
	}
	i := sort.Search(len(t.funcs), func(i int) bool { return t.funcs[i].Value > addr })
	if i == 0 {
		return "", 0, false
	}
	f := t.funcs[i-1]
	// Hand-written code has functions of size 0: they reach to the next one.
	if f.Size != 0 && addr-f.Value >= f.Size {
		return "", 0, false
	}
	return f.Name, addr - f.Value, true
}

// line gives the source line at an offset in the file, or "".
func (s *symbols) line(offset uint64) (string, int) {
	t := s.load()
	addr, ok := t.address(offset)
	if !ok || t.lines == nil {
		return "", 0
	}
	type place struct {
		file string
		line int
	}
	got := within(symbolTime, func() place {
		file, line := sourceLine(t.lines, addr)
		return place{file, line}
	}, func(place) {})
	return got.file, got.line
}

// address turns an offset in the file into the address that the file's own tables use.
func (t *tables) address(offset uint64) (uint64, bool) {
	for _, p := range t.loads {
		if offset >= p.Off && offset-p.Off < p.Filesz {
			return offset - p.Off + p.Vaddr, true
		}
	}
	return 0, false
}

// readTables gives nil for what is no sound ELF file.
func readTables(r io.ReaderAt) (t *tables) {
	defer func() {
		// debug/elf and debug/dwarf are not promised to withstand a crafted file.
		if recover() != nil {
			t = nil
		}
	}()
	r = io.NewSectionReader(r, 0, maxELFBytes)
	if !modest(r) {
		return nil
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil
	}
	t = &tables{}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			t.loads = append(t.loads, p.ProgHeader)
		}
	}
	for _, read := range []func() ([]elf.Symbol, error){f.Symbols, f.DynamicSymbols} {
		all, err := read()
		if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
			continue
		}
		for _, sym := range all {
			kind := elf.ST_TYPE(sym.Info)
			if (kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC) && sym.Section != elf.SHN_UNDEF && sym.Name != "" {
				t.funcs = append(t.funcs, sym)
			}
		}
	}
	sort.SliceStable(t.funcs, func(i, j int) bool { return t.funcs[i].Value < t.funcs[j].Value })
	if debugBytes(f) <= maxDWARFBytes {
		t.lines, _ = f.DWARF()
	}
	return t
}

// modest says whether the tables can be read without harm to this process. It looks at the section headers before
// debug/elf does, which would unpack a compressed table of any size.
func modest(r io.ReaderAt) bool {
	var h elf.Header64
	if binary.Read(io.NewSectionReader(r, 0, 64), le, &h) != nil || string(h.Ident[:4]) != elf.ELFMAG {
		return false
	}
	if elf.Class(h.Ident[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(h.Ident[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return false
	}
	if h.Shnum == 0 {
		return h.Shoff == 0 // else the count stands elsewhere: more sections than any real program has
	}
	sections := make([]elf.Section64, h.Shnum)
	if h.Shentsize != 64 || h.Shoff > maxELFBytes ||
		binary.Read(io.NewSectionReader(r, int64(h.Shoff), int64(h.Shnum)*64), le, sections) != nil {
		return false
	}
	for _, s := range sections {
		packed := elf.SectionFlag(s.Flags)&elf.SHF_COMPRESSED != 0
		switch elf.SectionType(s.Type) {
		case elf.SHT_PROGBITS, elf.SHT_NOBITS: // read for DWARF only, see debugBytes
		case elf.SHT_SYMTAB, elf.SHT_DYNSYM, elf.SHT_STRTAB, elf.SHT_GNU_VERSYM, elf.SHT_GNU_VERNEED, elf.SHT_GNU_VERDEF:
			if packed || s.Size > maxTableBytes {
				return false
			}
		default:
			if packed {
				return false
			}
		}
	}
	return true
}

// debugBytes is what the debug sections need when they are unpacked.
func debugBytes(f *elf.File) uint64 {
	var sum uint64
	for _, s := range f.Sections {
		if strings.HasPrefix(s.Name, ".debug_") || strings.HasPrefix(s.Name, ".zdebug_") {
			sum += min(s.Size, maxDWARFBytes+1)
		}
	}
	return sum
}

func sourceLine(d *dwarf.Data, addr uint64) (file string, line int) {
	defer func() {
		if recover() != nil {
			file, line = "", 0
		}
	}()
	unit, err := d.Reader().SeekPC(addr)
	if err != nil {
		return "", 0
	}
	lines, err := d.LineReader(unit)
	if err != nil || lines == nil {
		return "", 0
	}
	var entry dwarf.LineEntry
	if lines.SeekPC(addr, &entry) != nil || entry.File == nil {
		return "", 0
	}
	return path.Base(entry.File.Name), entry.Line
}
