package report

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/monmod/monmod/internal/elffile"
)

// Bounds on one ELF file: it is the program's, and the program may be hostile. Package elffile bounds what it costs to read it.
const (
	maxELFBytes = 512 << 20
	symbolTime  = 2 * time.Second // to name one address
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

// symbols are the functions and lines of one ELF file, which are looked for when an address is asked for.
type symbols struct {
	file *os.File // nil: not to be had
}

func (s *symbols) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// spot is what is known of an offset in a file.
type spot struct {
	symbol string
	beyond uint64 // bytes from the symbol's beginning
	file   string
	line   int
}

// name fills what is known of the offset in the file; beyond is added to the distance from the symbol.
func (s *symbols) name(f *Frame, offset, beyond uint64) {
	file := s.file
	if file == nil {
		return
	}
	p := within(symbolTime, func() spot { return spotOf(io.NewSectionReader(file, 0, maxELFBytes), offset) }, func(spot) {})
	if p.symbol != "" {
		f.Symbol, f.Offset = short(p.symbol), Hex(p.beyond+beyond)
		f.File, f.Line = short(p.file), p.line
	}
}

func spotOf(r io.ReaderAt, offset uint64) (p spot) {
	f, err := elffile.Open(r)
	if err != nil {
		return p
	}
	addr, ok := f.Address(offset)
	if !ok {
		return p
	}
	name, start, ok := f.Function(addr)
	if !ok {
		return p
	}
	p.symbol, p.beyond = name, addr-start
	p.file, p.line = f.Line(addr)
	return p
}
