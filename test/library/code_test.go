package library

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// system lists files of the distribution that hold the bytes of WRPKRU or XRSTOR: in the dynamic linker's resolver and the C
// library's pkey_set, and by chance between instructions.
var system = []string{
	"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libnettle.so.8", "/bin/busybox",
}

// TestInstructionLengths compares with binutils, instruction by instruction.
func TestInstructionLengths(t *testing.T) {
	for _, path := range append([]string{"/usr/bin/sqlite3"}, system...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			offset := func(at uint64) (uint64, bool) {
				for _, p := range f.Progs {
					if p.Type == elf.PT_LOAD && at >= p.Vaddr && at < p.Vaddr+p.Filesz {
						return at - p.Vaddr + p.Off, true
					}
				}
				return 0, false
			}
			out, err := exec.Command("objdump", "-d", "-w", "--insn-width=16", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			var list bytes.Buffer
			for line := range strings.Lines(string(out)) {
				fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
				if len(fields) < 3 || strings.Contains(fields[2], "(bad)") || strings.HasPrefix(fields[2], ".byte") {
					continue
				}
				var at uint64
				if _, err := fmt.Sscanf(fields[0], " %x:", &at); err != nil {
					continue
				}
				if o, ok := offset(at); ok {
					fmt.Fprintf(&list, "%x %d\n", o, len(strings.Fields(fields[1])))
				}
			}
			t.Logf("%s", run(t, list.Bytes(), "unit", "lengths", path))
		})
	}
}

// TestDoorsOfSystemFiles takes out what opens a protection key in the files that have it.
func TestDoorsOfSystemFiles(t *testing.T) {
	for _, path := range system {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if got := strings.TrimSpace(string(run(t, nil, "unit", "doors", path))); got == "0" {
				t.Errorf("nothing was found in %s", path)
			}
		})
	}
}

// doors assembles testdata/doors.S into a folder, with a list of where its functions are.
func doors(t *testing.T, dir string) {
	t.Helper()
	so := filepath.Join(dir, "doors.so")
	if out, err := exec.Command("gcc", "-shared", "-nostdlib", "-Wl,-z,norelro", "-o", so, "testdata/doors.S").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(so)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var list bytes.Buffer
	for _, name := range []string{"pair", "lea", "load", "jump", "looped"} {
		for _, s := range symbols {
			if s.Name == name {
				fmt.Fprintf(&list, "%x\n", s.Value)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "doors.txt"), list.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
