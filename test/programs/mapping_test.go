package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

// TestSharedMappingStaysReadable guards against stores to a file that nothing compares: a shared mapping for reading of a file
// that is open for writing must not become a writable one. Natively it does.
func TestSharedMappingStaysReadable(t *testing.T) {
	const script = `import ctypes, mmap, os
fd = os.open("f", os.O_RDWR | os.O_CREAT, 0o600)
os.write(fd, b"hello")
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
at = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
print("read", ctypes.string_at(at, 5))
print("mprotect", libc.mprotect(at, 4096, mmap.PROT_READ | mmap.PROT_WRITE), ctypes.get_errno())
`
	nativelyAndMonitored(t, func(s stage) {
		want := "mprotect -1 13\n"
		if s.how.Variants == 0 {
			want = "mprotect 0 0\n"
		}
		out := string(s.run(s.spec("python3", "-c", script)).Stdout)
		if !strings.Contains(out, "read b'hello'\n") || !strings.HasSuffix(out, want) {
			t.Errorf("%v: printed %q, want it to read hello and then %q", s.how, out, want)
		}
	})
}

// TestLibraryInOtherRoot loads a library from a tree that has no /proc, in which the program has shut itself in.
func TestLibraryInOtherRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	var libm []byte
	for _, path := range []string{"/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6", "/usr/lib/libm.so.6"} {
		if data, err := os.ReadFile(path); err == nil {
			libm = data
			break
		}
	}
	if libm == nil {
		t.Skip("no libm.so.6 was found")
	}
	const script = `import ctypes, os
os.chroot("jail")
os.chdir("/")
f = ctypes.CDLL("/libm.so.6").fabs
f.restype, f.argtypes = ctypes.c_double, [ctypes.c_double]
print(f(-3))
`
	nativelyAndMonitored(t, func(s stage) {
		jail := filepath.Join(s.base, "jail")
		if err := os.MkdirAll(jail, 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(jail, "libm.so.6"), libm, 0o755); err != nil {
			s.t.Fatal(err)
		}
		s.want(s.run(s.spec("python3", "-c", script)), 0, "3.0\n")
	})
}

// TestNoNumberLeft maps a file when the program has opened as many as the limit allows that monmod was started with.
func TestNoNumberLeft(t *testing.T) {
	requireBuilt(t)
	const script = `import ctypes, mmap, os
fd = os.open("f", os.O_RDONLY)
try:
    while True:
        last = os.dup(fd)
except OSError as e:
    print(e.errno)
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for rights in mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_EXEC:
    print(ctypes.string_at(libc.mmap(None, 4096, rights, mmap.MAP_PRIVATE, fd, 0), 5))
os.close(last)
maps = os.open("/proc/self/maps", os.O_RDONLY)
print(maps == last, len(os.read(maps, 10)))
os.close(maps)
print(os.dup(fd) == last)
`
	base := scratch.Dir(t)
	if err := os.WriteFile(filepath.Join(base, "f"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := proc.Run(proc.Spec{
		Argv: []string{"/bin/bash", "-c", `ulimit -n 512 && exec "$@"`, "-", target.Built("monmod"), "run", "--logs", target.Logs(base), "--variants", "3", "--policy", "full", "--",
			"python3", "-c", script},
		Dir: base, Env: target.Env(base), Deadline: 60 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "24\nb'hello'\nb'hello'\nTrue 10\nTrue\n"; r.Status != 0 || string(r.Stdout) != want {
		t.Errorf("want %q, got %s", want, r)
	}
}

// TestMonitorIsSealed looks at the monitor's mappings of a running variant from outside: each is sealed where the kernel seals.
func TestMonitorIsSealed(t *testing.T) {
	if _, _, errno := syscall.Syscall(sysMseal, 0, 0, 0); errno == syscall.ENOSYS {
		t.Skip("this kernel has no mseal (Linux 6.10)")
	}
	inWays(t, []target.How{twoFull}, func(s stage) {
		p, pid, feed := s.peek()
		defer p.Wait() // what is killed leaves the state of its group in the runtime folder
		defer feed.Close()
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
		if err != nil {
			s.t.Fatal(err)
		}
		var ours bool
		mappings := 0
		for line := range strings.Lines(string(text)) {
			var from, to uint64
			if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
				ours = from >= 0x2000_0000_0000 && from < 0x5000_0000_0000 // internal/supervisor/bases.go
			}
			if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && ours {
				mappings++
				if !slices.Contains(strings.Fields(flags), "sl") {
					s.t.Errorf("a mapping of the monitor's is not sealed: %s", flags)
				}
			}
		}
		if mappings < 10 {
			s.t.Errorf("only %d mappings of the monitor's were found", mappings)
		}
	})
}

const sysMseal = 462
