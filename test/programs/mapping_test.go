package programs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

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

// TestMonitorIsSealed looks at the monitor's mappings of a running variant from outside: each is sealed where the kernel seals.
func TestMonitorIsSealed(t *testing.T) {
	if _, _, errno := syscall.Syscall(sysMseal, 0, 0, 0); errno == syscall.ENOSYS {
		t.Skip("this kernel has no mseal (Linux 6.10)")
	}
	inWays(t, []target.How{twoFull}, func(s stage) {
		_, pid, _ := s.peek()
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
