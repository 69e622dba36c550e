// Package elffile reads what monmod wants to know of an ELF file that somebody else made, and who may be hostile: the function
// and the source line at an address, what it imports, which libraries it needs.
//
// debug/elf and debug/dwarf make a string for every symbol, section and attribute, and a file can have a million that all name
// one string of 30 MB. Here tables are walked in pieces and nothing of them is kept: what a question costs is a few hundred
// kilobytes of memory and the time to read tables of bounded size, whatever the file says. The imports alone take a table of
// strings, of maxTable bytes, for as long as they are looked at.
package elffile

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	maxTable    = 32 << 20      // bytes of a table of symbols or strings
	maxName     = 4096          // bytes of one name
	maxPrograms = 64 << 10 / 56 // program headers: the kernel starts nothing that has more
	piece       = 64 << 10      // bytes that are read at once
)

var le = binary.LittleEndian

// File is an ELF file for x86_64. It holds its header and its program headers, and none of its tables.
type File struct {
	Type elf.Type

	r        io.ReaderAt
	header   elf.Header64
	programs []elf.Prog64
}

// ForeignError says that a file is a program for something else.
type ForeignError struct {
	Class   elf.Class
	Machine elf.Machine
}

func (e *ForeignError) Error() string { return fmt.Sprintf("it is for %s (%s)", e.Machine, e.Class) }

// Open reads the headers. What is asked later is read from r then.
func Open(r io.ReaderAt) (*File, error) {
	f := &File{r: r}
	head := make([]byte, binary.Size(f.header))
	// The header of a 32-bit file is shorter, and may be all there is of it.
	if n, err := r.ReadAt(head, 0); n < 52 {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if string(head[:4]) != elf.ELFMAG {
		return nil, errors.New("it does not begin as an ELF file does")
	}
	if err := foreign(head); err != nil {
		return nil, err
	}
	if err := binary.Read(bytes.NewReader(head), le, &f.header); err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	f.Type = elf.Type(f.header.Type)
	h := &f.header
	if h.Phnum > maxPrograms || h.Phnum > 0 && h.Phentsize != 56 {
		return nil, fmt.Errorf("%d program headers of %d bytes: at most %d of 56 are possible", h.Phnum, h.Phentsize, maxPrograms)
	}
	if h.Shnum > 0 && h.Shentsize != 64 {
		return nil, fmt.Errorf("section headers of %d bytes: they have 64", h.Shentsize)
	}
	in, err := f.part(h.Phoff, uint64(h.Phnum)*56)
	if err == nil {
		f.programs = make([]elf.Prog64, h.Phnum)
		err = binary.Read(in, le, f.programs)
	}
	if err != nil {
		return nil, fmt.Errorf("read the program headers: %w", err)
	}
	return f, nil
}

// foreign looks at what stands at the same place in every ELF file.
func foreign(head []byte) error {
	class, order := elf.Class(head[elf.EI_CLASS]), binary.ByteOrder(le)
	if class != elf.ELFCLASS32 && class != elf.ELFCLASS64 {
		return fmt.Errorf("its class is %d, which is none", class)
	}
	switch data := elf.Data(head[elf.EI_DATA]); data {
	case elf.ELFDATA2LSB:
	case elf.ELFDATA2MSB:
		order = binary.BigEndian
	default:
		return fmt.Errorf("its order of bytes is %d, which is none", data)
	}
	machine := elf.Machine(order.Uint16(head[18:]))
	if class != elf.ELFCLASS64 || order != binary.ByteOrder(le) || machine != elf.EM_X86_64 {
		return &ForeignError{class, machine}
	}
	return nil
}

// part is a piece of the file, wherever the file says that it is.
func (f *File) part(offset, size uint64) (*io.SectionReader, error) {
	if offset > math.MaxInt64 || size > math.MaxInt64-offset {
		return nil, fmt.Errorf("%d bytes at offset %#x: no file is that long", size, offset)
	}
	return io.NewSectionReader(f.r, int64(offset), int64(size)), nil
}

// Address turns an offset in the file into the address that the file's own tables use.
func (f *File) Address(offset uint64) (uint64, bool) {
	for _, p := range f.programs {
		if elf.ProgType(p.Type) == elf.PT_LOAD && offset >= p.Off && offset-p.Off < p.Filesz {
			return offset - p.Off + p.Vaddr, true
		}
	}
	return 0, false
}

// isCode says whether code is loaded to an address.
func (f *File) isCode(addr uint64) bool {
	for _, p := range f.programs {
		if elf.ProgType(p.Type) == elf.PT_LOAD && elf.ProgFlag(p.Flags)&elf.PF_X != 0 && addr >= p.Vaddr && addr-p.Vaddr < p.Memsz {
			return true
		}
	}
	return false
}

// Interpreter is the dynamic linker that the file names, "" where it names none.
func (f *File) Interpreter() (string, error) {
	for _, p := range f.programs {
		if elf.ProgType(p.Type) != elf.PT_INTERP {
			continue
		}
		in, err := f.part(p.Off, p.Filesz)
		if err == nil && p.Filesz > maxName {
			err = fmt.Errorf("its name has %d bytes, at most %d are possible", p.Filesz, maxName)
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(in)
		}
		if err != nil {
			return "", fmt.Errorf("read the dynamic linker's name: %w", err)
		}
		return strings.TrimRight(string(text), "\x00"), nil
	}
	return "", nil
}

// HasSection says whether there is a section of a name.
func (f *File) HasSection(name string) bool {
	_, ok := f.find(func(s *elf.Section64) bool { return f.named(s, name) })
	return ok
}

// find gives the first section that is right. More sections than the header can count are taken for none: no program has them.
func (f *File) find(right func(*elf.Section64) bool) (elf.Section64, bool) {
	headers, err := f.part(f.header.Shoff, uint64(f.header.Shnum)*64)
	if err != nil {
		return elf.Section64{}, false
	}
	in, raw := bufio.NewReaderSize(headers, piece), make([]byte, 64)
	for {
		if _, err := io.ReadFull(in, raw); err != nil {
			return elf.Section64{}, false
		}
		if s := sectionOf(raw); right(&s) {
			return s, true
		}
	}
}

func (f *File) ofType(t elf.SectionType) (elf.Section64, bool) {
	return f.find(func(s *elf.Section64) bool { return elf.SectionType(s.Type) == t })
}

// section gives a section by its number.
func (f *File) section(n uint32) (elf.Section64, error) {
	if n == 0 || n >= uint32(f.header.Shnum) {
		return elf.Section64{}, fmt.Errorf("section %d, of %d", n, f.header.Shnum)
	}
	in, err := f.part(f.header.Shoff+uint64(n)*64, 64)
	raw := make([]byte, 64)
	if err == nil {
		_, err = io.ReadFull(in, raw)
	}
	if err != nil {
		return elf.Section64{}, fmt.Errorf("read the header of section %d: %w", n, err)
	}
	return sectionOf(raw), nil
}

func sectionOf(b []byte) elf.Section64 {
	return elf.Section64{
		Name: le.Uint32(b), Type: le.Uint32(b[4:]), Flags: le.Uint64(b[8:]), Addr: le.Uint64(b[16:]), Off: le.Uint64(b[24:]),
		Size: le.Uint64(b[32:]), Link: le.Uint32(b[40:]), Info: le.Uint32(b[44:]), Addralign: le.Uint64(b[48:]), Entsize: le.Uint64(b[56:]),
	}
}

// named compares as many bytes as the name has, however long the section's is.
func (f *File) named(s *elf.Section64, name string) bool {
	names, err := f.section(uint32(f.header.Shstrndx))
	if err != nil || uint64(s.Name) >= names.Size || names.Off > math.MaxInt64-math.MaxUint32 {
		return false
	}
	got := make([]byte, len(name)+1)
	_, err = f.r.ReadAt(got, int64(names.Off)+int64(s.Name))
	return err == nil && string(got) == name+"\x00"
}

// table is a section that is read as it stands, and of bounded size.
func (f *File) table(s elf.Section64) (*io.SectionReader, error) {
	switch {
	case elf.SectionType(s.Type) == elf.SHT_NOBITS:
		return nil, errors.New("a table that is not in the file")
	case elf.SectionFlag(s.Flags)&elf.SHF_COMPRESSED != 0:
		return nil, errors.New("a table that is compressed")
	case s.Size > maxTable:
		return nil, fmt.Errorf("a table of %d bytes, more than the %d that are looked at", s.Size, maxTable)
	}
	return f.part(s.Off, s.Size)
}

// text is the string at an offset in a table of strings.
func text(table io.ReaderAt, offset uint64) (string, error) {
	if offset > maxTable {
		return "", fmt.Errorf("a string at offset %#x, behind the end of its table", offset)
	}
	b := make([]byte, maxName)
	n, err := table.ReadAt(b, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	end := bytes.IndexByte(b[:n], 0)
	if end < 0 {
		return "", fmt.Errorf("a string at offset %#x that does not end within its table, or within %d bytes", offset, maxName)
	}
	return string(b[:end]), nil
}
