package library

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// install builds the file that is installed, by the Makefile's own rules, in a folder of the tests'.
var install = sync.OnceValues(func() (string, error) {
	file := filepath.Join(built, "libmonmod.so")
	cmd := exec.Command("make", "--no-print-directory", "-j2", "BUILD="+built, file)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make %s: %w\n%s", file, err, out)
	}
	return file, nil
})

func library(t *testing.T) string {
	t.Helper()
	file, err := install()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t *testing.T, file string) *elf.File {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// An instruction of the file, and the function that it is in.
type instruction struct {
	in, text string
	address  string
}

func disassemble(t *testing.T, file string) []instruction {
	t.Helper()
	out, err := exec.Command("objdump", "-d", "--no-show-raw-insn", file).Output()
	if err != nil {
		t.Fatalf("objdump -d %s: %v (scripts/deps installs binutils)", file, err)
	}
	function := regexp.MustCompile(`^[0-9a-f]+ <(.+)>:$`)
	line := regexp.MustCompile(`^ +([0-9a-f]+):\t(.+?)\s*$`)
	var all []instruction
	in := ""
	for l := range strings.Lines(string(out)) {
		l = strings.TrimRight(l, "\n")
		if m := function.FindStringSubmatch(l); m != nil {
			in = m[1]
		} else if m := line.FindStringSubmatch(l); m != nil {
			all = append(all, instruction{in, m[2], m[1]})
		}
	}
	if len(all) < 5000 {
		t.Fatalf("objdump shows %d instructions only", len(all))
	}
	return all
}

// TestInstructions looks at every instruction of the built file.
func TestInstructions(t *testing.T) {
	file := library(t)
	all := disassemble(t, file)
	gates := open(t, file).Section(".gates")
	code, err := gates.Data()
	if err != nil {
		t.Fatal(err)
	}

	t.Run("system calls", func(t *testing.T) {
		enters := regexp.MustCompile(`^(syscall|sysenter|int +\$0x80|int80)`)
		var found []string
		for _, i := range all {
			if enters.MatchString(i.text) {
				found = append(found, i.in)
			}
		}
		slices.Sort(found)
		// mm_app_syscall is the label in mm_app_gate at which a signal is told from one that came too late; the call in
		// mm_kmod_handler is one that the kernel module answers, outside the gates
		if want := []string{"mm_app_syscall", "mm_gate", "mm_hide", "mm_kmod_handler", "mm_return"}; !slices.Equal(found, want) {
			t.Errorf("the kernel is entered in %v, want %v", found, want)
		}
		if gates.Addr%4096 != 0 || gates.Size > 4096 {
			t.Errorf("the gates lie at %#x, %d bytes: they have a page of their own", gates.Addr, gates.Size)
		}
		// on the page that Syscall User Dispatch lets pass, not even in the middle of another instruction
		for bytesOf, want := range map[string]int{"\x0f\x05": 4, "\x0f\x34": 0, "\xcd\x80": 0} {
			if n := bytes.Count(code, []byte(bytesOf)); n != want {
				t.Errorf("% x stands %d times on the gates' page, want %d", bytesOf, n, want)
			}
		}
	})
	t.Run("vector registers", func(t *testing.T) {
		used := regexp.MustCompile(`%[xyzt]mm\d|%mm\d|%st\b|%k[0-7]\b|xsave|xrstor|fxsave|fxrstor|ldmxcsr|vzero`)
		for _, i := range all {
			if i.in == "mm_frame" && strings.HasPrefix(i.text, "xsave64") {
				continue // what the program holds is kept there, as the kernel keeps it
			}
			if used.MatchString(i.text) {
				t.Errorf("%s: %s: %s (what the program holds there would be lost)", i.address, i.in, i.text)
			}
		}
	})
	t.Run("r15", func(t *testing.T) {
		named := regexp.MustCompile(`%r15`)
		may := map[string]string{"mm_preload": "keeps it for the loader", "mm_leave_to": "clears it for the program",
			"mm_kmod_entry": "gives the program its own back", "mm_key_entry": "the same",
			"mm_close": "asks whether it is the token that a frame has"}
		for _, i := range all {
			if named.MatchString(i.text) && may[i.in] == "" {
				t.Errorf("%s: %s: %s (the register is reserved for the thread's token)", i.address, i.in, i.text)
			}
		}
	})
	t.Run("protection keys", func(t *testing.T) {
		// what follows each is a look at what was written: who jumps there with another value ends
		for n, i := range all {
			if !strings.HasPrefix(i.text, "wrpkru") && !strings.Contains(i.text, "xrstor") {
				continue
			}
			if n+3 >= len(all) || !strings.HasPrefix(all[n+1].text, "test   $0x4,%al") || !strings.HasPrefix(all[n+2].text, "jne") ||
				!strings.HasPrefix(all[n+3].text, "ud2") {
				t.Errorf("%s: %s: %s is not followed by a test of what it wrote", i.address, i.in, i.text)
			}
		}
	})
	t.Run("doors in bytes", func(t *testing.T) {
		// constants are executable too, and instructions have middles: every byte counts (mm_opens_key in preload/rewrite.c)
		// of what is mapped: what the sections for debuggers happen to hold is never in memory
		file := open(t, library(t))
		var found []uint64
		for _, prog := range file.Progs {
			if prog.Type != elf.PT_LOAD {
				continue
			}
			segment, err := io.ReadAll(prog.Open())
			if err != nil {
				t.Fatal(err)
			}
			for n := range len(segment) - 2 {
				b := segment[n : n+3]
				if b[0] == 0x0f && (b[1] == 0x01 && b[2] == 0xef || b[1] == 0xae && b[2]>>3&7 == 5 && b[2] < 0xc0) {
					found = append(found, prog.Vaddr+uint64(n))
				}
			}
		}
		if len(found) != 2 {
			t.Errorf("bytes that open a protection key stand at %x; two are known, in mm_key_out and mm_key_ret", found)
		}
	})
	t.Run("segments", func(t *testing.T) {
		forged := regexp.MustCompile(`%[fg]s:|wr[fg]sbase|rd[fg]sbase`)
		for _, i := range all {
			if forged.MatchString(i.text) {
				t.Errorf("%s: %s: %s (the program can set these)", i.address, i.in, i.text)
			}
		}
	})
}

// TestLayout looks at the built file as loaders see it: an image that holds no address and that nothing writes to.
func TestLayout(t *testing.T) {
	f := open(t, library(t))
	var dynamic *elf.Section
	for _, s := range f.Sections {
		switch {
		case s.Name == ".dynamic":
			dynamic = s
		case s.Type == elf.SHT_REL || s.Type == elf.SHT_RELA:
			t.Errorf("%s: there is something to relocate", s.Name)
		case s.Flags&elf.SHF_ALLOC != 0 && s.Flags&elf.SHF_WRITE != 0 && s.Size != 0:
			t.Errorf("%s: %d bytes of writable data", s.Name, s.Size)
		case s.Flags&elf.SHF_TLS != 0:
			t.Errorf("%s: thread-local data", s.Name)
		}
	}
	if dynamic == nil {
		t.Fatal("no dynamic section: it could not be preloaded")
	}
	for _, p := range f.Progs {
		if p.Flags&elf.PF_W != 0 && p.Flags&elf.PF_X != 0 {
			t.Errorf("a segment at %#x is writable and executable", p.Vaddr)
		}
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_W != 0 && (p.Vaddr != dynamic.Addr || p.Memsz != dynamic.Size) {
			t.Errorf("a writable segment at %#x holds more than the dynamic section", p.Vaddr)
		}
		if p.Type == elf.PT_INTERP {
			t.Error("it names an interpreter, which would run before it")
		}
	}
	if needed, err := f.ImportedLibraries(); err != nil || len(needed) != 0 {
		t.Errorf("it needs %v (%v)", needed, err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			t.Errorf("%s is undefined", s.Name)
		} else if elf.ST_VISIBILITY(s.Other) == elf.STV_DEFAULT {
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(exported)
	if want := []string{"mm_preload", "mm_start"}; !slices.Equal(exported, want) {
		t.Errorf("it exports %v, want %v: a program's own names must not be taken", exported, want)
	}
}
