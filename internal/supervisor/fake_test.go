package supervisor

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
)

// TestMain makes the test binary stand for libmonmod.so where it is executed as that: its arguments then begin with --fd.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "--fd" || os.Args[1] == "--socket") {
		fakeLibrary(os.Args)
	}
	if len(os.Args) > 1 && os.Args[1] == WatchdogArg {
		check(RunWatchdog())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fake speaks the library's side of the start protocol. What it does wrong on the way is its scenario's choice.
type fake struct {
	scenario string
	link     *link
	token    []byte
	start    abi.Start
	control  *abi.Control
	stream   *abi.Stream
	index    []*abi.Index
}

func fakeLibrary(args []string) {
	time.AfterFunc(30*time.Second, func() { os.Exit(97) }) // a test that was killed leaves nothing behind
	f := &fake{scenario: args[len(args)-1]}
	var err error
	f.token, err = hex.DecodeString(args[4])
	check(err)
	if args[1] == "--socket" {
		conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: args[2], Net: "unixpacket"})
		check(err)
		f.link = &link{conn: conn}
	} else {
		fd, err := strconv.Atoi(args[2])
		check(err)
		f.link, err = newLink(fd)
		check(err)
	}
	if hostile, ok := fakeStarts[f.scenario]; ok {
		hostile(f)
		select {}
	}
	f.begin()
	fakeRuns[f.scenario](f)
	os.Exit(99) // a scenario ends its process itself
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake library:", err)
		os.Exit(98)
	}
}

func (f *fake) hello(token []byte, state []byte, seals int) {
	fd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	check(err)
	_, err = unix.Write(fd, state)
	check(err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	check(err)
	h := abi.Hello{Pid: uint32(os.Getpid())}
	copy(h.Token[:], token)
	check(f.link.send(abi.MsgHello, abi.Append(nil, h), fd))
}

const allSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

func fakeState() []byte {
	cwd, err := os.Getwd()
	check(err)
	b := abi.AppendSection(nil, abi.SecProgram, []byte("/bin/true"))
	b = abi.AppendSection(b, abi.SecArgv, abi.JoinStrings(append([]string{"/bin/true"}, os.Args[min(7, len(os.Args)):]...)))
	b = abi.AppendSection(b, abi.SecEnvp, abi.JoinStrings(os.Environ()))
	b = abi.AppendSection(b, abi.SecCwd, []byte(cwd))
	b = abi.AppendSection(b, abi.SecFds, abi.Append(nil, []abi.FdEntry{{Fd: 0}, {Fd: 1}, {Fd: 2}}))
	b = abi.AppendSection(b, abi.SecLimits, bytes.Repeat([]byte{0xff}, 256))
	b = abi.AppendSection(b, abi.SecIds, make([]byte, 24))
	b = abi.AppendSection(b, abi.SecGroups, nil)
	b = abi.AppendSection(b, abi.SecProcess, abi.Append(nil, abi.ProcessState{Hwcap: 7, Umask: 0o22}))
	return abi.AppendEnd(b)
}

// fakeStateBut is fakeState with another body in the section, or without it.
func fakeStateBut(section uint32, body []byte) []byte {
	sections, err := abi.ParseSections(fakeState())
	check(err)
	if sections[section] = body; body == nil {
		delete(sections, section)
	}
	var b []byte
	for tag, body := range sections {
		b = abi.AppendSection(b, tag, body)
	}
	return abi.AppendEnd(b)
}

func (f *fake) expect(typ uint16) inbound {
	in, err := receiveMany(f.link.conn)
	check(err)
	if in.Type != typ {
		check(fmt.Errorf("%s instead of %s", abi.MessageName(in.Type), abi.MessageName(typ)))
	}
	return in
}

// receiveMany is link.receive with room for the descriptors of START.
func receiveMany(c *net.UnixConn) (inbound, error) {
	buf, oob := make([]byte, abi.MessageMax), make([]byte, unix.CmsgSpace(4*16))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return inbound{}, err
	}
	m, err := abi.ParseMessage(buf[:n])
	if err != nil {
		return inbound{}, err
	}
	fds, err := descriptors(oob[:oobn])
	return inbound{Message: m, fds: fds}, err
}

func mapping(fd, size, prot int) unsafe.Pointer {
	mem, err := unix.Mmap(fd, 0, size, prot, unix.MAP_SHARED)
	check(err)
	return unsafe.Pointer(&mem[0])
}

func (f *fake) begin() {
	f.hello(f.token, fakeState(), allSeals)
	in := f.expect(abi.MsgStart)
	_, err := abi.Decode(in.Body, &f.start)
	check(err)
	want := 5
	if f.start.Role == abi.Leader {
		want = 4 + int(f.start.Followers)
	}
	if len(in.fds) != want {
		check(fmt.Errorf("START with %d descriptors, not %d", len(in.fds), want))
	}
	if _, err := unix.Mmap(in.fds[1], 0, abi.Page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		check(fmt.Errorf("the control page could be mapped writable"))
	}
	f.control = (*abi.Control)(mapping(in.fds[1], abi.Page, unix.PROT_READ))
	if f.start.Role == abi.Leader {
		f.stream = (*abi.Stream)(mapping(in.fds[2], abi.Page+int(f.start.RingSize), unix.PROT_READ|unix.PROT_WRITE))
	} else {
		f.index = append(f.index, (*abi.Index)(mapping(in.fds[2], abi.Page, unix.PROT_READ|unix.PROT_WRITE)))
	}
	check(f.link.send(abi.MsgMapped, nil))
	in = f.expect(abi.MsgArena)
	for _, fd := range in.fds {
		if _, err := unix.Mmap(fd, 0, abi.Page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
			check(fmt.Errorf("another's object could be mapped writable"))
		}
		if f.start.Role == abi.Leader {
			f.index = append(f.index, (*abi.Index)(mapping(fd, abi.Page, unix.PROT_READ)))
		} else {
			f.stream = (*abi.Stream)(mapping(fd, abi.Page+int(f.start.RingSize), unix.PROT_READ))
		}
	}
	f.obeyKicks()
	check(f.link.send(abi.MsgReady, nil))
	f.expect(abi.MsgGo)
	if atomic.LoadUint32(&f.control.State) == abi.StateStarting {
		check(fmt.Errorf("GO before the control page says running"))
	}
}

// obeyKicks does what the monitor does on the reserved signal when the group ends: a last word, then the exit code of the
// control page. While it runs, a kick only makes a late follower look at the stream.
func (f *fake) obeyKicks() {
	kicks := make(chan os.Signal, 1)
	signal.Notify(kicks, kickSignal)
	go func() {
		for range kicks {
			if atomic.LoadUint32(&f.control.State) == abi.StateEnding {
				break
			}
		}
		trace := abi.Append(nil, abi.Case{Seq: 3, Records: 1, Regs: [18]uint64{16: 0x1234}})
		_ = f.link.send(abi.MsgTrace, append(trace, fakeCall(3, "before")...))
		os.Exit(int(f.control.ExitCode))
	}()
}

func (f *fake) leads() bool { return f.start.Role == abi.Leader }

func (f *fake) stop(code int) {
	check(f.link.send(abi.MsgStop, abi.Append(nil, abi.Stop{Status: uint32(code), Counters: abi.Counters{Calls: 42}})))
	os.Exit(code)
}

// publish and arrive move the leader's head and the follower's tail, and ring the bell where the other sleeps.
func (f *fake) publish(head uint64) {
	atomic.StoreUint64(&f.stream.Head, head)
	for _, index := range f.index {
		if atomic.LoadUint32(&index.Waits) != 0 {
			atomic.AddUint32(&f.stream.Bell, 1)
			wake(&f.stream.Bell)
		}
	}
}

func (f *fake) arrive(head uint64) {
	for atomic.LoadUint64(&f.stream.Head) < head {
		time.Sleep(time.Millisecond)
	}
	f.took(head)
}

func (f *fake) took(tail uint64) {
	atomic.StoreUint64(&f.index[0].Tail, tail)
	if atomic.LoadUint32(&f.stream.Waits) != 0 {
		atomic.AddUint32(&f.index[0].Bell, 1)
		wake(&f.index[0].Bell)
	}
}

func (f *fake) ring() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(f.stream), abi.Page)), f.start.RingSize)
}

// fakeCall is the record of a call whose first argument is text.
func fakeCall(seq uint64, text string) []byte {
	form := abi.Append(nil, abi.Item{Kind: abi.ItemBytes, Bytes: uint16(len(text)), Total: uint32(len(text))})
	form = append(form, text...)
	form = append(form, make([]byte, -len(form)&7)...)
	b := abi.Append(nil, abi.Rec{Size: uint32(32 + len(form)), Kind: abi.RecCall, Nr: 1, Seq: seq, Form: uint16(len(form))})
	return append(b, form...)
}

func burn() {
	for n := 0; ; n++ {
		if n < 0 {
			panic("wrapped")
		}
	}
}
