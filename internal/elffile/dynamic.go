package elffile

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io"
)

const (
	maxDynamic = 1 << 20 // bytes of the dynamic section
	maxStrings = 1000    // strings of one kind that it names
)

// Dynamic gives the strings that the dynamic section names with a tag. With an error it gives those before it.
func (f *File) Dynamic(tag elf.DynTag) ([]string, error) {
	s, ok := f.ofType(elf.SHT_DYNAMIC)
	if !ok {
		return nil, nil
	}
	if s.Size > maxDynamic {
		return nil, fmt.Errorf("a dynamic section of %d bytes, more than the %d that are looked at", s.Size, maxDynamic)
	}
	names, err := f.strings(s)
	if err != nil {
		return nil, err
	}
	entries, err := f.table(s)
	if err != nil {
		return nil, err
	}
	var found []string
	in, entry := bufio.NewReaderSize(entries, piece), make([]byte, 16)
	for {
		_, err := io.ReadFull(in, entry)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return found, nil
		}
		if err != nil {
			return found, fmt.Errorf("read the dynamic section: %w", err)
		}
		switch elf.DynTag(le.Uint64(entry)) {
		case elf.DT_NULL:
			return found, nil
		case tag:
			if len(found) == maxStrings {
				return found, fmt.Errorf("more than %d of %s", maxStrings, tag)
			}
			name, err := text(names, le.Uint64(entry[8:]))
			if err != nil {
				return found, err
			}
			found = append(found, name)
		}
	}
}
