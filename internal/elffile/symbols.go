package elffile

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Function gives the function at an address of the file's own, and where it begins.
func (f *File) Function(addr uint64) (name string, start uint64, ok bool) {
	var best elf.Sym64
	var from elf.Section64 // the table of best
	for _, t := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
		table, have := f.ofType(t)
		if !have {
			continue
		}
		// A table that ends too early, or that has no sound form, has told what it could.
		_ = f.symbols(table, func(s *elf.Sym64) {
			kind := elf.ST_TYPE(s.Info)
			function := kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC
			if function && elf.SectionIndex(s.Shndx) != elf.SHN_UNDEF && s.Name != 0 && s.Value <= addr && (!ok || s.Value >= best.Value) {
				best, from, ok = *s, table, true
			}
		})
	}
	// Hand-written code has functions of size 0: they reach to the next one.
	if !ok || best.Size != 0 && addr-best.Value >= best.Size {
		return "", 0, false
	}
	if names, err := f.strings(from); err == nil {
		name, _ = text(names, uint64(best.Name))
	}
	return name, best.Value, name != ""
}

// Imported gives those of some names that the file wants from others, in their order. A weak symbol is wanted by nobody.
func (f *File) Imported(names []string) ([]string, error) {
	table, ok := f.ofType(elf.SHT_DYNSYM)
	if !ok {
		return nil, errors.New("it has no table of dynamic symbols")
	}
	in, err := f.strings(table)
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read the names of symbols: %w", err)
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = false
	}
	err = f.symbols(table, func(s *elf.Sym64) {
		if elf.ST_BIND(s.Info) != elf.STB_GLOBAL || elf.SectionIndex(s.Shndx) != elf.SHN_UNDEF || uint64(s.Name) >= uint64(len(all)) {
			return
		}
		name := all[s.Name:min(len(all), int(s.Name)+maxName)]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			if _, asked := wanted[string(name[:end])]; asked {
				wanted[string(name[:end])] = true
			}
		}
	})
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !wanted[name] }), err
}

// strings is the table of strings that belongs to another table.
func (f *File) strings(of elf.Section64) (*io.SectionReader, error) {
	s, err := f.section(of.Link)
	if err != nil {
		return nil, err
	}
	return f.table(s)
}

const symbolBytes = 24

// symbols walks a table of symbols but for the first, which is none.
func (f *File) symbols(table elf.Section64, each func(*elf.Sym64)) error {
	in, err := f.table(table)
	if err != nil {
		return err
	}
	var s elf.Sym64
	buffer := make([]byte, piece/symbolBytes*symbolBytes)
	for first := true; ; {
		n, err := io.ReadFull(in, buffer)
		for b := buffer[:n]; len(b) >= symbolBytes; b = b[symbolBytes:] {
			if first {
				first = false
				continue
			}
			s.Name, s.Info, s.Other, s.Shndx = le.Uint32(b), b[4], b[5], le.Uint16(b[6:])
			s.Value, s.Size = le.Uint64(b[8:]), le.Uint64(b[16:])
			each(&s)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the symbols: %w", err)
		}
	}
}
