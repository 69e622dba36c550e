// Package library judges a file that is to be executed, and mapped into programs, as libmonmod.so.
package library

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
)

// Check says what keeps the file at path from being used as the library, and what to do. A file that was cut off is mapped all
// the same by the kernel and kills by SIGBUS whoever touches what is missing, so its end is looked for before it is used.
func Check(path string) error {
	if err := check(path); err != nil {
		return fmt.Errorf("examine the library %s: %w: install it again (make build, make install)", path, err)
	}
	return nil
}

func check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no file")
	}
	f, err := elf.Open(path) // reads the tables of segments and of sections; the latter stands at the end
	if err != nil {
		return fmt.Errorf("it is damaged or no shared object (%w)", err)
	}
	defer f.Close()
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_DYN {
		return errors.New("it is no shared object for x86-64")
	}
	size := uint64(info.Size())
	entered := false
	for _, p := range f.Progs {
		if p.Off > size || p.Filesz > size-p.Off {
			return fmt.Errorf("it is damaged: it has %d bytes, and a part of it should end at byte %d", size, p.Off+p.Filesz)
		}
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && f.Entry >= p.Vaddr && f.Entry-p.Vaddr < p.Filesz {
			entered = true
		}
	}
	if !entered {
		return errors.New("it is damaged: it has no first instruction")
	}
	return nil
}
