package elffile

import (
	"bufio"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
)

// maxLines bounds a debug section, in bytes, unpacked.
const maxLines = 64 << 20

// Line gives the source file, without its folders, and the line at an address of the file's own; "" where it is not known. It
// runs the line programs of DWARF 2 to 5 one after the other, which needs no other section than theirs, and no memory.
func (f *File) Line(addr uint64) (string, int) {
	s, ok := f.debug(".debug_line")
	if !ok {
		return "", 0
	}
	in, err := f.unpacked(s)
	if err != nil {
		return "", 0
	}
	all := &lineReader{in: bufio.NewReaderSize(in, piece), left: maxLines}
	for {
		at := maxLines - all.left
		u, err := all.unit()
		if err != nil {
			return "", 0
		}
		if hit, ok := u.run(addr, f.isCode); ok {
			return f.lineFile(s, at, hit.file), int(hit.line)
		}
	}
}

// lineFile reads the unit at an offset once more, for the name of one of its files.
func (f *File) lineFile(s elf.Section64, at int64, file uint64) string {
	in, err := f.unpacked(s)
	if err != nil {
		return ""
	}
	all := &lineReader{in: bufio.NewReaderSize(in, piece), left: maxLines}
	all.skip(uint64(at))
	u, err := all.unit()
	if err != nil {
		return ""
	}
	name := u.fileName(file, func(section string, offset uint64) string {
		s, ok := f.debug(section)
		if !ok {
			return ""
		}
		in, err := f.unpacked(s)
		if err != nil {
			return ""
		}
		strings := &lineReader{in: bufio.NewReaderSize(in, piece), left: maxLines}
		strings.skip(offset)
		return strings.text()
	})
	if name == "" {
		return ""
	}
	return path.Base(name)
}

func (f *File) debug(name string) (elf.Section64, bool) {
	return f.find(func(s *elf.Section64) bool { return elf.SectionType(s.Type) == elf.SHT_PROGBITS && f.named(s, name) })
}

// unpacked is what a debug section holds. One that is compressed with zstd, for which Go has no reader, is not to be had.
func (f *File) unpacked(s elf.Section64) (io.Reader, error) {
	if s.Size > maxLines {
		return nil, fmt.Errorf("a debug section of %d bytes, more than the %d that are looked at", s.Size, int64(maxLines))
	}
	in, err := f.part(s.Off, s.Size)
	if err != nil || elf.SectionFlag(s.Flags)&elf.SHF_COMPRESSED == 0 {
		return in, err
	}
	var head elf.Chdr64
	if err := binary.Read(in, le, &head); err != nil {
		return nil, err
	}
	if elf.CompressionType(head.Type) != elf.COMPRESS_ZLIB {
		return nil, fmt.Errorf("a debug section that is compressed by %s", elf.CompressionType(head.Type))
	}
	return zlib.NewReader(in)
}

// lineReader reads numbers and strings. What cannot be read is 0, and err says so.
type lineReader struct {
	in   *bufio.Reader
	left int64
	err  error
}

func (r *lineReader) u8() byte {
	if r.err == nil && r.left <= 0 {
		r.err = io.ErrUnexpectedEOF
	}
	if r.err != nil {
		return 0
	}
	b, err := r.in.ReadByte()
	if err != nil {
		r.err = err
		return 0
	}
	r.left--
	return b
}

func (r *lineReader) number(bytes int) (n uint64) {
	for i := range bytes {
		n |= uint64(r.u8()) << (8 * i)
	}
	return n
}

func (r *lineReader) uleb() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := r.u8()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (r *lineReader) sleb() (n int64) {
	for shift := 0; ; {
		b := r.u8()
		n |= int64(b&0x7f) << shift
		shift += 7
		if b < 0x80 {
			if b&0x40 != 0 && shift < 64 {
				n |= -1 << shift
			}
			return n
		}
	}
}

func (r *lineReader) skip(bytes uint64) {
	if r.err == nil && bytes > uint64(max(r.left, 0)) {
		r.err = io.ErrUnexpectedEOF
	}
	if r.err != nil {
		return
	}
	n, err := r.in.Discard(int(bytes))
	r.left, r.err = r.left-int64(n), err
}

// text reads up to a zero byte; of what is too long for a name only that it is there.
func (r *lineReader) text() string {
	var b []byte
	for {
		c := r.u8()
		if c == 0 {
			return string(b)
		}
		if len(b) < maxName {
			b = append(b, c)
		}
	}
}

// lineUnit is one line program.
type lineUnit struct {
	r          *lineReader // of this unit
	version    uint64
	offsetSize int
	toProgram  int64 // r.left where the program begins

	perInstruction uint64
	lineBase       int64
	lineRange      uint64
	opcodeBase     byte
	operands       []byte // of the standard opcodes from 1
}

// unit reads the head of the next unit, up to its tables of folders and files.
func (r *lineReader) unit() (*lineUnit, error) {
	u := &lineUnit{offsetSize: 4}
	length := r.number(4)
	if length == 0xffffffff {
		u.offsetSize = 8
		length = r.number(8)
	}
	if r.err == nil && length > uint64(max(r.left, 0)) {
		r.err = io.ErrUnexpectedEOF
	}
	if r.err != nil {
		return nil, r.err
	}
	own := &lineReader{in: r.in, left: int64(length)}
	r.left -= int64(length)
	u.r = own
	// What is not of a form that is known is passed over by run and fileName.
	if u.version = own.number(2); u.version < 2 || u.version > 5 {
		return u, nil
	}
	if u.version == 5 {
		own.skip(2) // sizes of an address and a segment
	}
	header := own.number(u.offsetSize)
	if u.toProgram = own.left - int64(header); header > uint64(max(own.left, 0)) {
		own.err = io.ErrUnexpectedEOF
	}
	u.perInstruction = own.number(1)
	if u.version >= 4 {
		own.skip(1) // operations of an instruction: 1 on this processor
	}
	own.skip(1) // whether a row is a statement at first
	u.lineBase, u.lineRange, u.opcodeBase = int64(int8(own.u8())), own.number(1), own.u8()
	u.operands = make([]byte, max(u.opcodeBase, 1)-1)
	for i := range u.operands {
		u.operands[i] = own.u8()
	}
	return u, nil
}

type lineRow struct {
	addr, file uint64
	line       int64
}

// run looks for the row of an address, and leaves the reader at the next unit. Rows of code that the linker has thrown away
// begin where no code is, mostly at 0.
func (u *lineUnit) run(addr uint64, isCode func(uint64) bool) (lineRow, bool) {
	r := u.r
	defer func() { // to the next unit, also behind an error within this one
		r.err = nil
		r.skip(uint64(max(r.left, 0)))
	}()
	if u.version < 2 || u.version > 5 || u.lineRange == 0 {
		return lineRow{}, false
	}
	r.skip(uint64(r.left - u.toProgram))
	begin := lineRow{file: 1, line: 1}
	now, last, first := begin, lineRow{}, uint64(0)
	open := false // a sequence that has a row
	// put says whether the address lies between the last row and this one.
	put := func() bool {
		if open && last.addr <= addr && addr < now.addr && isCode(first) {
			return true
		}
		if !open {
			first = now.addr
		}
		last, open = now, true
		return false
	}
	for r.left > 0 && r.err == nil {
		op := r.u8()
		switch {
		case op >= u.opcodeBase:
			n := uint64(op - u.opcodeBase)
			now.addr += n / u.lineRange * u.perInstruction
			now.line += u.lineBase + int64(n%u.lineRange)
			if put() {
				return last, true
			}
		case op == 0:
			n := r.uleb()
			if n == 0 {
				continue
			}
			switch code := r.u8(); {
			case code == 1: // the end of a sequence
				r.skip(n - 1)
				if put() {
					return last, true
				}
				now, open = begin, false
			case code == 2 && n <= 9:
				now.addr = r.number(int(n - 1))
			default:
				r.skip(n - 1)
			}
		case op == 1:
			if put() {
				return last, true
			}
		case op == 2:
			now.addr += r.uleb() * u.perInstruction
		case op == 3:
			now.line += r.sleb()
		case op == 4:
			now.file = r.uleb()
		case op == 8:
			now.addr += uint64(255-u.opcodeBase) / u.lineRange * u.perInstruction
		case op == 9:
			now.addr += r.number(2)
		default:
			for range u.operands[op-1] {
				r.uleb()
			}
		}
	}
	return lineRow{}, false
}

// Kinds of content and forms of DWARF 5 that stand in a table of files.
const (
	contentPath = 1

	formData2, formData4, formData8, formString = 0x05, 0x06, 0x07, 0x08
	formBlock, formData1, formStrp, formUdata   = 0x09, 0x0b, 0x0e, 0x0f
	formData16, formLineStrp                    = 0x1e, 0x1f
)

// fileName gives the name of a file by its number; indirect reads a string from another section.
func (u *lineUnit) fileName(file uint64, indirect func(section string, offset uint64) string) string {
	r := u.r
	if u.version < 5 {
		for r.text() != "" && r.err == nil { // folders
		}
		for n := uint64(1); r.err == nil; n++ {
			name := r.text()
			if n == file || name == "" {
				return name
			}
			r.uleb() // folder
			r.uleb() // time
			r.uleb() // size
		}
		return ""
	}
	if _, err := u.entries(^uint64(0), nil); err != nil { // folders
		return ""
	}
	name, err := u.entries(file, indirect)
	if err != nil {
		return ""
	}
	return name
}

var errForm = errors.New("a form that no table of files has")

// entries reads one table of DWARF 5, up to the wanted entry, of which it gives the path.
func (u *lineUnit) entries(wanted uint64, indirect func(section string, offset uint64) string) (string, error) {
	r := u.r
	type field struct{ content, form uint64 }
	format := make([]field, r.u8())
	for i := range format {
		format[i] = field{r.uleb(), r.uleb()}
	}
	count := r.uleb()
	if len(format) == 0 {
		return "", r.err
	}
	for n := range count {
		for _, field := range format {
			section, offset, name := "", uint64(0), ""
			switch field.form {
			case formString:
				name = r.text()
			case formLineStrp:
				section, offset = ".debug_line_str", r.number(u.offsetSize)
			case formStrp:
				section, offset = ".debug_str", r.number(u.offsetSize)
			case formUdata:
				r.uleb()
			case formData1:
				r.skip(1)
			case formData2:
				r.skip(2)
			case formData4:
				r.skip(4)
			case formData8:
				r.skip(8)
			case formData16:
				r.skip(16)
			case formBlock:
				r.skip(r.uleb())
			default:
				return "", errForm
			}
			if r.err != nil {
				return "", r.err
			}
			if n == wanted && field.content == contentPath {
				if section != "" {
					name = indirect(section, offset)
				}
				return name, nil
			}
		}
	}
	return "", nil
}
