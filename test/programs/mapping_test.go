package programs

import (
	"strings"
	"testing"
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
