// Package elftest makes ELF files that no linker would, for tests.
package elftest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// File is loaded whole, as code, to address 0.
type File struct {
	Interpreter string    // "": none
	Sections    []Section // numbered from 1
}

// Section is a section by its content. Size, where it is not 0, is what its header says that it has.
type Section struct {
	Name    string
	Type    elf.SectionType
	Link    uint32
	Size    uint64
	Content []byte
}

// Symbol is the content of one entry in a table of symbols.
func Symbol(s elf.Sym64) []byte { return encode(s) }

// Bytes is the file.
func (f File) Bytes() []byte {
	names := []byte{0}
	var file bytes.Buffer
	file.Write(make([]byte, 64+2*56)) // the headers, of which the place is known
	put := func(content []byte) uint64 {
		file.Write(make([]byte, -file.Len()&15))
		at := file.Len()
		file.Write(content)
		return uint64(at)
	}
	interpreter := put([]byte(f.Interpreter + "\x00"))
	headers := make([]elf.Section64, 1, len(f.Sections)+2)
	all := append(append([]Section{}, f.Sections...), Section{Name: ".shstrtab", Type: elf.SHT_STRTAB})
	for i, s := range all {
		h := elf.Section64{Name: uint32(len(names)), Type: uint32(s.Type), Link: s.Link, Size: s.Size}
		names = append(names, s.Name+"\x00"...)
		if i == len(all)-1 {
			s.Content = names
		}
		if h.Off = put(s.Content); h.Size == 0 {
			h.Size = uint64(len(s.Content))
		}
		headers = append(headers, h)
	}
	at := put(encode(headers))
	load := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: at, Memsz: at}
	programs := []elf.Prog64{load}
	if f.Interpreter != "" {
		programs = append(programs, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: interpreter, Filesz: uint64(len(f.Interpreter) + 1)})
	}
	head := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}, Type: uint16(elf.ET_DYN),
		Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Shoff: at, Ehsize: 64, Phentsize: 56, Phnum: uint16(len(programs)),
		Shentsize: 64, Shnum: uint16(len(headers)), Shstrndx: uint16(len(headers) - 1),
	}
	done := file.Bytes()
	copy(done, append(encode(head), encode(programs)...))
	return done
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err) // a struct of fixed size into memory
	}
	return b.Bytes()
}
