package elffile

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/elffile/elftest"
)

const source = `#include <unistd.h>
static int twice(int n) {
	int sum = 0;
	for (int i = 0; i < n; i++)
		sum += getpid();
	return sum;
}
int main(void) { return twice(3) + getppid(); }
`

// build compiles the source and gives the file's place.
func build(t testing.TB, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "victim.c"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "victim")
	gcc := exec.Command("gcc", append(flags, "-o", program, filepath.Join(dir, "victim.c"))...)
	if out, err := gcc.CombinedOutput(); err != nil {
		t.Fatalf("gcc %v: %v\n%s", flags, err, out)
	}
	return program
}

func open(t testing.TB, name string) *File {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	f, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLinesAsGoReadsThem: at every address of main and what it calls the line is the one that debug/dwarf says.
func TestLinesAsGoReadsThem(t *testing.T) {
	for _, flags := range []string{
		"-g", "-g -O2", "-gdwarf-2 -gstrict-dwarf", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5 -O2", "-g -gz", "-g -static", "-g -no-pie -ffunction-sections",
	} {
		t.Run(flags, func(t *testing.T) {
			name := build(t, strings.Fields(flags)...)
			f := open(t, name)
			theirs, err := elf.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			data, err := theirs.DWARF()
			if err != nil {
				t.Fatal(err)
			}
			symbols, err := theirs.Symbols()
			if err != nil {
				t.Fatal(err)
			}
			looked := 0
			for _, s := range symbols {
				if s.Name != "main" && s.Name != "twice" {
					continue
				}
				for addr := s.Value; addr < s.Value+s.Size; addr++ {
					file, line := f.Line(addr)
					wantFile, wantLine := lineOf(t, data, addr)
					if file != wantFile || line != wantLine {
						t.Fatalf("%s+%d is at %s:%d, want %s:%d", s.Name, addr-s.Value, file, line, wantFile, wantLine)
					}
					if name, start, ok := f.Function(addr); !ok || name != s.Name || start != s.Value {
						t.Fatalf("%s+%d is %s+%d", s.Name, addr-s.Value, name, addr-start)
					}
					looked++
				}
			}
			if looked == 0 {
				t.Error("there is no main")
			}
		})
	}
}

func lineOf(t *testing.T, d *dwarf.Data, addr uint64) (string, int) {
	t.Helper()
	unit, err := d.Reader().SeekPC(addr)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := d.LineReader(unit)
	if err != nil {
		t.Fatal(err)
	}
	var entry dwarf.LineEntry
	if err := lines.SeekPC(addr, &entry); err != nil {
		t.Fatal(err)
	}
	return path.Base(entry.File.Name), entry.Line
}

func TestWhatIsImported(t *testing.T) {
	f := open(t, build(t, "-Wl,-rpath,/opt/lib"))
	if got, err := f.Imported([]string{"fork", "getppid", "getpid", "main"}); err != nil || !slices.Equal(got, []string{"getppid", "getpid"}) {
		t.Errorf("imported: %q, %v", got, err)
	}
	if got, err := f.Dynamic(elf.DT_NEEDED); err != nil || !slices.Equal(got, []string{"libc.so.6"}) {
		t.Errorf("needed: %q, %v", got, err)
	}
	if got, err := f.Dynamic(elf.DT_RUNPATH); err != nil || !slices.Equal(got, []string{"/opt/lib"}) {
		t.Errorf("the run path: %q, %v", got, err)
	}
	if got, err := f.Interpreter(); err != nil || !strings.HasPrefix(got, "/lib64/ld-linux") {
		t.Errorf("the dynamic linker: %q, %v", got, err)
	}
	if !f.HasSection(".text") || f.HasSection(".tex") || f.HasSection(".go.buildinfo") {
		t.Error("its sections have other names")
	}
}

// TestForeign: a file for something else says for what, in either order of bytes.
func TestForeign(t *testing.T) {
	sound := elftest.File{}.Bytes()
	for want, change := range map[string]func([]byte){
		"it is for EM_AARCH64 (ELFCLASS64)": func(b []byte) { b[18] = byte(elf.EM_AARCH64) },
		"it is for EM_386 (ELFCLASS32)":     func(b []byte) { b[4], b[18] = byte(elf.ELFCLASS32), byte(elf.EM_386) },
		"it is for EM_S390 (ELFCLASS64)":    func(b []byte) { b[5], b[18], b[19] = byte(elf.ELFDATA2MSB), 0, byte(elf.EM_S390) },
	} {
		b := slices.Clone(sound)
		change(b)
		_, err := Open(bytes.NewReader(b))
		if foreign := (*ForeignError)(nil); !errors.As(err, &foreign) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestTablesOfAnySize: what a header says of a table's size is not believed, and nothing as large as it is asked of the system.
func TestTablesOfAnySize(t *testing.T) {
	const huge = 100 << 30
	for _, size := range []uint64{huge, 1<<63 - 1, 1<<64 - 1} {
		section := func(name string, kind elf.SectionType) elftest.Section {
			return elftest.Section{Name: name, Type: kind, Link: 3, Size: size}
		}
		f, err := Open(bytes.NewReader(elftest.File{Sections: []elftest.Section{
			section(".dynsym", elf.SHT_DYNSYM), section(".dynamic", elf.SHT_DYNAMIC), section(".dynstr", elf.SHT_STRTAB),
			section(".symtab", elf.SHT_SYMTAB), section(".debug_line", elf.SHT_PROGBITS),
		}}.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Imported([]string{"fork"}); err == nil {
			t.Errorf("symbols of %d bytes are looked at", size)
		}
		if _, err := f.Dynamic(elf.DT_NEEDED); err == nil {
			t.Errorf("a dynamic section of %d bytes is looked at", size)
		}
		if name, _, ok := f.Function(64); ok {
			t.Errorf("found the function %q", name)
		}
		if file, _ := f.Line(64); file != "" {
			t.Errorf("found the line of %q", file)
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, flags := range [][]string{{"-gdwarf-4"}, {"-gdwarf-5"}} {
		data, err := os.ReadFile(build(f, append(flags, "-Os", "-Wl,-z,noseparate-code")...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if f, err := Open(bytes.NewReader(data)); err == nil {
			addr := f.header.Entry
			f.Function(addr)
			f.Line(addr)
			f.Interpreter()
			f.HasSection(".go.buildinfo")
			f.Imported([]string{"fork"})
			f.Dynamic(elf.DT_NEEDED)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
			t.Fatalf("%d bytes of memory for a file of %d", got, len(data))
		}
	})
}
