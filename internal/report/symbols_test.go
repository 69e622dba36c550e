package report

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/elffile/elftest"
	"golang.org/x/sys/unix"
)

const victim = `#include <stdio.h>
#include <unistd.h>
void __attribute__((noinline)) here(void) { pause(); }
int main(void) {
	printf("%p %p\n", (void *)here, (void *)&read);
	fflush(stdout);
	here();
}
`

// start compiles and starts the victim and gives the addresses it prints.
func start(t *testing.T, flags ...string) (pid int, here, read uint64) {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "victim.c"), filepath.Join(dir, "victim")
	if err := os.WriteFile(source, []byte(victim), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", append(flags, "-O1", "-o", program, source)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := fmt.Fscanf(out, "0x%x 0x%x\n", &here, &read); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, here, read
}

func TestSymbolise(t *testing.T) {
	for _, test := range []struct {
		name, here, read string
		flags            []string
	}{
		{"with lines", `^victim!here\+0x1 \(victim\.c:3\)$`, `^libc\.so\.6!(__)?read\+0x1$`, []string{"-g"}},
		{"without lines", `^victim!here\+0x1$`, `^libc\.so\.6!(__)?read\+0x1$`, nil},
		{"stripped", `^victim\+0x[0-9a-f]+$`, `^libc\.so\.6!(__)?read\+0x1$`, []string{"-s"}},
		{"packed debug sections", `^victim!here\+0x1 \(victim\.c:3\)$`, `^libc`, []string{"-g", "-gz"}},
		{"static, fixed place", `^victim!here\+0x1$`, `^victim!(__libc_|__)?read\+0x1$`, []string{"-static"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pid, here, read := start(t, test.flags...)
			m, err := Capture(pid)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			// The process is gone by the time the report is made.
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for addr, want := range map[uint64]string{here + 1: test.here, read + 1: test.read} {
				if got := Symbolise(m, addr).String(); !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if got := Symbolise(m, 0x10).String(); got != "0x10 (nothing is mapped there)" {
				t.Errorf("got %s", got)
			}
			frames := Backtrace(m, here+1, []uint64{here + 2, 0})
			if len(frames) != 3 || frames[1].Address != Hex(here+2) || frames[1].Symbol != frames[0].Symbol {
				t.Errorf("%+v", frames)
			}
		})
	}
}

func TestCaptureOfNobody(t *testing.T) {
	m, err := Capture(1 << 30)
	if err == nil || !strings.Contains(err.Error(), "memory map of process 1073741824") {
		t.Errorf("got %v", err)
	}
	defer m.Close()
	if got := Symbolise(m, 0x1000).String(); got != "0x1000 (nothing is mapped there)" {
		t.Errorf("got %s", got)
	}
	if got := Symbolise(&Maps{}, 1).Module; got != "" {
		t.Errorf("got %s", got)
	}
}

// A path of the process is looked up below its root, also where it climbs or is a link to somewhere else.
func TestOpenInRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	pid := chrooted(t, root)
	fd, err := openInRoot(pid, "/../sleep")
	if err != nil {
		t.Fatalf("what lies in the root: %v", err)
	}
	unix.Close(fd)
	for _, name := range []string{"/link", "/../../../../../../../../etc/passwd"} {
		if fd, err := openInRoot(pid, name); err == nil {
			unix.Close(fd)
			t.Errorf("%s led out of the root", name)
		}
	}
}

// chrooted starts a process that waits under another root.
func chrooted(t *testing.T, root string) int {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("chroot needs root")
	}
	data, err := os.ReadFile("/usr/bin/busybox")
	if err != nil {
		if data, err = os.ReadFile("/bin/busybox"); err != nil {
			t.Skip("needs the static busybox")
		}
	}
	if err := os.WriteFile(filepath.Join(root, "sleep"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

func TestWithin(t *testing.T) {
	release, dropped := make(chan struct{}), make(chan int, 1)
	if got := within(time.Millisecond, func() int { <-release; return 7 }, func(n int) { dropped <- n }); got != 0 {
		t.Errorf("got %d from work that hangs", got)
	}
	close(release)
	if got := <-dropped; got != 7 {
		t.Errorf("dropped %d", got)
	}
	if got := within(time.Minute, func() int { return 8 }, func(int) {}); got != 8 {
		t.Errorf("got %d", got)
	}
}

func FuzzMaps(f *testing.F) {
	f.Add("55d0c0000000-55d0c0001000 r-xp 00002000 fe:01 131 /usr/bin/a b (deleted)\n7ffd0-7ffe0 rw-p 0 00:00 0    [stack]\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, _ := parseMaps(strings.NewReader(text))
		m := &Maps{mappings: all}
		for _, mp := range all {
			if got := Symbolise(m, mp.start).String(); strings.ContainsAny(got, "\x1b\n") {
				t.Fatalf("%q", got)
			}
		}
	})
}

// TestSymbolsOfHostileFile: a million symbols that all name one string of 31 MB cost no memory, and hide no other symbol.
func TestSymbolsOfHostileFile(t *testing.T) {
	const big, bomb, sound = 31 << 20, 0x1000, 0x2000
	function := func(name uint32, value uint64) []byte {
		return elftest.Symbol(elf.Sym64{Name: name, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 1, Value: value})
	}
	symbols := append(make([]byte, 24), bytes.Repeat(function(1, bomb), big/24)...)
	names := append(append([]byte{0}, bytes.Repeat([]byte{'A'}, big)...), "\x00sound\x00"...)
	file := bytes.NewReader(elftest.File{Sections: []elftest.Section{
		{Name: ".symtab", Type: elf.SHT_SYMTAB, Link: 2, Content: append(symbols, function(big+2, sound)...)},
		{Name: ".strtab", Type: elf.SHT_STRTAB, Content: names},
	}}.Bytes())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for offset, want := range map[uint64]spot{bomb + 5: {}, sound + 5: {symbol: "sound", beyond: 5}} {
		if got := spotOf(file, offset); got != want {
			t.Errorf("at %#x is %.40q, want %q", offset, got.symbol, want.symbol)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("two addresses took %d bytes of memory", got)
	}
}

// TestCodeWithoutFile names code that is a private copy by the mappings of its file around it.
func TestCodeWithoutFile(t *testing.T) {
	all, err := parseMaps(strings.NewReader(`400000-401000 r--p 00000000 fe:01 9 /usr/bin/program
401000-405000 r-xp 00000000 00:00 0
405000-406000 r--p 00005000 fe:01 9 /usr/bin/program
500000-503000 r-xp 00000000 00:00 0
503000-504000 rw-p 00003000 fe:01 10 /usr/lib/old.so
600000-601000 r-xp 00000000 00:00 0
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]mapping{1: {offset: 0x1000, module: all[0].module}, 3: {module: all[4].module}, 5: {}} {
		if all[i].module.path != want.module.path || all[i].offset != want.offset {
			t.Errorf("mapping %d is %q at %#x, want %q at %#x", i, all[i].module.path, all[i].offset, want.module.path, want.offset)
		}
	}
}
