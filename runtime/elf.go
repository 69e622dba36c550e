package runtime

import (
	"debug/elf"
	"encoding/binary"
	"io"
)

// image is what kind of program a file is.
type image int

const (
	otherImage   image = iota // no ELF file, or a broken one: the kernel decides
	foreignImage              // ELF for another processor, or for 32 bits
	staticImage
	dynamicImage
)

// Sizes of the parts of an ELF file that are read, in bytes.
const (
	elfHeader      = 64
	programHeader  = 56
	maxProgHeaders = 512
)

// examine reads the headers of an ELF file: head is how the file begins. Every
// offset in it is the image's own claim.
func examine(head []byte, f io.ReaderAt) image {
	if len(head) < 20 || string(head[:4]) != elf.ELFMAG {
		return otherImage
	}
	if elf.Class(head[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(head[elf.EI_DATA]) != elf.ELFDATA2LSB ||
		elf.Machine(binary.LittleEndian.Uint16(head[18:])) != elf.EM_X86_64 {
		return foreignImage
	}
	if len(head) < elfHeader {
		return otherImage
	}
	offset := binary.LittleEndian.Uint64(head[32:])
	size := binary.LittleEndian.Uint16(head[54:])
	count := binary.LittleEndian.Uint16(head[56:])
	if size != programHeader || count == 0 || count > maxProgHeaders || offset > 1<<40 {
		return otherImage
	}
	table := make([]byte, int(count)*programHeader)
	if _, err := f.ReadAt(table, int64(offset)); err != nil {
		return otherImage
	}
	for ; len(table) > 0; table = table[programHeader:] {
		if elf.ProgType(binary.LittleEndian.Uint32(table)) == elf.PT_INTERP {
			return dynamicImage
		}
	}
	return staticImage
}
