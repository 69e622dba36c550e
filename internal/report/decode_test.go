package report

import (
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/syscalls"
)

func TestDecodeText(t *testing.T) {
	inet := "\x02\x00\x1f\x90\x7f\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"
	inet6 := "\x0a\x00\x00\x50\x00\x00\x00\x00" + strings.Repeat("\x00", 15) + "\x01\x00\x00\x00\x00"
	for _, test := range []struct {
		rec  []byte
		want string
	}{
		{called(t, "read", 1, value(0, 3), pointer(1), value(2, 4096)), "read(fd 3, pointer, 4096)"},
		{called(t, "write", 1, value(0, 4), text(1, "a\x1b[31m\"\n\xff"), value(2, 8)), `write(fd 4, "a\x1b[31m\"\n\xff", 8)`},
		{called(t, "write", 1, value(0, 4), digest(1, 7, 10485760, "GET /"), value(2, 10485760)),
			`write(fd 4, 10485760 bytes, digest 07000000: "GET /"…, 10485760)`},
		{called(t, "openat", 1, value(0, 0xffffffffffffff9c), text(1, "/etc/passwd\x00"), value(2, 0x80241), value(3, 0o640)),
			`openat(AT_FDCWD, "/etc/passwd", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0640)`},
		{called(t, "openat", 1, value(0, 3), text(1, "x"), value(2, 0x410002), value(3, 0)), `openat(fd 3, "x", O_RDWR|O_TMPFILE, 00)`},
		{called(t, "mmap", 1, value(1, 4096), value(2, 5), value(3, 0x802), value(4, 3), value(5, 0)),
			"mmap(4096, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_DENYWRITE, fd 3, 0)"},
		{called(t, "mprotect", 1, value(1, 4096), value(2, 0)), "mprotect(4096, PROT_NONE)"},
		{called(t, "socket", 1, value(0, 2), value(1, 0x80801), value(2, 0)), "socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0)"},
		{called(t, "connect", 1, value(0, 3), text(1, inet), value(2, 16)), "connect(fd 3, 127.0.0.1:8080, 16)"},
		{called(t, "connect", 1, value(0, 3), text(1, inet6), value(2, 28)), "connect(fd 3, [::1]:80, 28)"},
		{called(t, "connect", 1, value(0, 3), text(1, "\x01\x00/run/x\x00"), value(2, 9)), `connect(fd 3, unix "/run/x", 9)`},
		{called(t, "connect", 1, value(0, 3), text(1, "\x01\x00\x00abs"), value(2, 6)), `connect(fd 3, unix @"abs", 6)`},
		{called(t, "connect", 1, value(0, 3), text(1, "\x02\x00\x1f"), value(2, 3)), "connect(fd 3, bytes 02001f, 3)"},
		{called(t, "epoll_ctl", 1, value(0, 5), value(1, 1), value(2, 9)), "epoll_ctl(fd 5, EPOLL_CTL_ADD, fd 9)"},
		{called(t, "kill", 1, value(0, 1), value(1, 15)), "kill(1, SIGTERM)"},
		{called(t, "kill", 1, value(0, 1), value(1, 40)), "kill(1, SIGRTMIN+6)"},
		{called(t, "sendto", 1, value(0, 4), text(1, "hi"), value(2, 2), value(3, 0x4040), it(4, abi.ItemNull, 0, nil)),
			`sendto(fd 4, "hi", 2, MSG_DONTWAIT|MSG_NOSIGNAL, NULL)`},
		{called(t, "write", 1, value(0, 1), it(1, abi.ItemFault, 64, le.AppendUint64(nil, 32))), "write(fd 1, memory unreadable after 32 bytes)"},
		{called(t, "rt_sigsuspend", 1, text(0, "\x02\x40\x00\x00\x00\x00\x00\x00")), "rt_sigsuspend({SIGINT SIGTERM})"},
		{gave(t, "read", 1, -9), "read(…) = EBADF"},
		{gave(t, "read", 1, 12), "read(…) = 12"},
		{gave(t, "mmap", 1, 0x7f0000000000), "mmap(…) = 0x7f0000000000"},
		{rec(abi.RecFault, 0, 11, 1, nil, value(0, 1), value(6, 3<<40|0x141)), "SIGSEGV (SEGV_MAPERR) at byte 0x141 of executable mapping 3"},
		{rec(abi.RecSignal, 0, 15, 1, nil), "SIGTERM"},
		{rec(abi.RecCall, 0, 65535, 1, nil, value(0, 1<<63)), "call#65535(0x8000000000000000)"},
	} {
		if got := decoded(t, test.rec).String(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestDecodeAsksTheDecoder(t *testing.T) {
	c, err := DecodeCall(fake{}, rec(abi.RecCall, abi.RfExempt, 7, 9, nil, value(0, 3), text(1, "p"), value(5, 1)))
	if err != nil || c.Name != "fake7" || !c.Exempt || c.Seq != 9 || c.Args[1].Name != "what" || c.Args[1].Kind != "path" || c.Args[2].Name != "f" {
		t.Fatalf("%+v, %v", c, err)
	}
}

// Every argument that has a meaning of its own must exist under that name.
func TestMeaningsAreOfTheTable(t *testing.T) {
	for a := range meanings {
		nr, ok := syscalls.ByName(a.call)
		if !ok || syscalls.Name(nr) != a.call {
			t.Errorf("%s is no canonical call", a.call)
			continue
		}
		found := false
		for i := range 6 {
			arg, ok := syscalls.ArgOf(nr, i)
			found = found || ok && arg.Name == a.name
		}
		if !found {
			t.Errorf("%s has no argument %s", a.call, a.name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := called(t, "read", 1, value(0, 3))
	change := func(at int, b ...byte) []byte {
		out := append([]byte(nil), good...)
		copy(out[at:], b)
		return out
	}
	for _, test := range []struct {
		name string
		rec  []byte
		want string
	}{
		{"nothing", nil, "bytes end"},
		{"short", good[:31], "bytes end"},
		{"size beyond the bytes", change(0, 0xf8, 0x7f), "claims"},
		{"size too small", change(0, 8), "record of 8 bytes"},
		{"size not of 8", change(0, 33), "record of 33 bytes"},
		{"unknown record kind", change(4, 9), "unknown kind 9"},
		{"form beyond the record", change(28, 24), "form of 24"},
		{"form over its limit", change(28, 0xff, 0xff), "form of 65535"},
		{"half an item", change(28, 4), "head of an argument"},
		{"argument out of range", change(32, 7), "numbered 8"},
		{"unknown item kind", change(33, 99), "unknown kind 99"},
		{"value of wrong size", change(34, 4), "has 4 bytes"},
		{"bytes over the inline limit", change(33, abi.ItemBytes, 65), "has 65 bytes"},
		{"bytes beyond the form", change(33, abi.ItemBytes, 16), "of which 8 are there"},
		{"digest too short", change(33, abi.ItemDigest, 8), "has 8 bytes"},
		{"pointer with bytes", change(33, abi.ItemPtr, 8), "has 8 bytes"},
		{"result without its body", rec(abi.RecResult, 0, 0, 1, make([]byte, 8)), "the result of"},
		{"bytes behind", append(good[:len(good):len(good)], 0), "1 bytes behind"},
	} {
		_, err := DecodeCall(Syscalls, test.rec)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.name, err, test.want)
		}
	}
}

func TestDecodeCase(t *testing.T) {
	a, b := called(t, "read", 5, value(0, 3)), called(t, "getpid", 6)
	c, err := DecodeCase(Syscalls, kase(abi.WhyNumber, 6, []uint64{0x10, 0x20}, b, a))
	if err != nil || c.Reason != OtherCall || c.Seq != 6 || len(c.Calls) != 2 || len(c.Frames) != 2 || c.Frames[1] != 0x20 ||
		c.Registers.RAX != 0x1000 || c.Registers.RIP != 0x1010 || c.Registers.Flags != 0x1011 {
		t.Fatalf("%+v, %v", c, err)
	}
	body := kase(abi.WhyForm, 6, nil, a, b)
	for _, test := range []struct {
		name  string
		body  []byte
		calls int
		want  string
	}{
		{"cut in the case", body[:400], 0, "bytes end"},
		{"cut in the second record", body[:len(body)-8], 1, "record 2 of 2"},
		{"bytes behind", append(append([]byte(nil), body...), make([]byte, 8)...), 2, "8 bytes behind"},
		{"unknown reason", kase(77, 6, nil, a), 1, "unknown reason 77"},
		{"frames over the room", append(abi.Append(nil, abi.Case{Frames: 33, Records: 1}), a...), 1, "33 return addresses"},
		{"records without end", abi.Append(nil, abi.Case{Records: 1 << 31}), 0, "at most 128"},
	} {
		c, err := DecodeCase(Syscalls, test.body)
		if err == nil || !strings.Contains(err.Error(), test.want) || len(c.Calls) != test.calls {
			t.Errorf("%s: %d calls, %v; want %d and an error with %q", test.name, len(c.Calls), err, test.calls, test.want)
		}
	}
}

func TestTracePutsResultsToCalls(t *testing.T) {
	c, err := DecodeCase(Syscalls, kase(abi.WhyNone, 3, nil, called(t, "read", 1, value(0, 3)), gave(t, "read", 1, 7),
		rec(abi.RecData, 0, number(t, "read"), 1, nil), called(t, "getpid", 2), gave(t, "read", 9, 1)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, call := range c.Trace() {
		got = append(got, call.String())
	}
	if want := "read(fd 3) = 7; getpid(); read(…) = 1"; strings.Join(got, "; ") != want {
		t.Fatalf("got %s, want %s", strings.Join(got, "; "), want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(kase(abi.WhyForm, 6, []uint64{1}, called(f, "connect", 5, value(0, 3), text(1, "\x02\x00\x1f\x90")), gave(f, "read", 5, -11)))
	f.Add(kase(abi.WhyKind, 6, nil, rec(abi.RecFault, 0, 11, 2, nil, value(6, 1)), called(f, "write", 1, digest(1, 1, 99, "x"))))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := DecodeCase(Syscalls, body)
		if err == nil && len(c.Calls) > maxCase || len(c.Frames) > abi.Frames {
			t.Fatalf("%d calls, %d frames", len(c.Calls), len(c.Frames))
		}
		for _, call := range c.Calls {
			for _, r := range call.String() {
				if r < 0x20 || r == 0x7f {
					t.Fatalf("unprintable %q in %q", r, call.String())
				}
			}
		}
		if len(c.Calls) > 1 {
			r := sample(OtherArgument)
			r.Leader.Call, r.Other.Call, r.Other.Before = &c.Calls[0], &c.Calls[1], c.Trace()
			roundTrip(t, r)
		}
	})
}

// TestUnreadablePathSaysItsError: what stands for a path that could not be described is an error, not a length.
func TestUnreadablePathSaysItsError(t *testing.T) {
	for n, want := range map[int64]string{
		-36: "unreadable (ENAMETOOLONG)", -14: "unreadable (EFAULT)", -1 << 63: "unreadable (0x8000000000000000)",
		0: "memory unreadable after 0 bytes", 32: "memory unreadable after 32 bytes",
	} {
		var a Arg
		a.fill("openat", item{abi.Item{Kind: abi.ItemFault}, le.AppendUint64(nil, uint64(n))})
		if a.Text != want || a.Form != "unreadable" {
			t.Errorf("%d is shown as %q, want %q", n, a.Text, want)
		}
	}
}
