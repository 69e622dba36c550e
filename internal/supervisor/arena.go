package supervisor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
)

// object is one memory object of the arena. Its size never changes, and seal keeps everyone from mapping it writable anew.
type object struct {
	name string
	fd   int
	size int
	mem  []byte // this process's own mapping, nil without one
}

func newObject(name string, size int, header []byte) (*object, error) {
	fd, err := unix.MemfdCreate("monmod-"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("monmod-"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("make the arena's %s: memfd_create: %w", name, err)
	}
	o := &object{name: name, fd: fd, size: size}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		if errors.Is(err, unix.EFBIG) {
			err = fmt.Errorf("%w: what variants share is memory that counts as a file: raise the limit of file sizes (ulimit -f)", err)
		}
		return nil, errors.Join(fmt.Errorf("make the arena's %s of %d bytes: %w", name, size, err), o.close())
	}
	if err := o.seal(unix.F_SEAL_SHRINK | unix.F_SEAL_GROW); err != nil {
		return nil, errors.Join(err, o.close())
	}
	if n, err := unix.Pwrite(fd, header, 0); err != nil || n != len(header) {
		return nil, errors.Join(fmt.Errorf("write the head of the arena's %s (%d of %d bytes): %w", name, n, len(header), err), o.close())
	}
	return o, nil
}

func (o *object) seal(seals int) error {
	if _, err := unix.FcntlInt(uintptr(o.fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the arena's %s (%#x): %w", o.name, seals, err)
	}
	return nil
}

// shut lets nobody map the object writable from now on; who has done so before keeps it.
func (o *object) shut() error { return o.seal(unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL) }

func (o *object) mapped(prot int) error {
	mem, err := unix.Mmap(o.fd, 0, o.size, prot, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the arena's %s: %w", o.name, err)
	}
	o.mem = mem
	return nil
}

func (o *object) close() error {
	var errs []error
	if o.mem != nil {
		errs = append(errs, unix.Munmap(o.mem))
		o.mem = nil
	}
	if o.fd >= 0 {
		errs = append(errs, unix.Close(o.fd))
		o.fd = -1
	}
	return errors.Join(errs...)
}

// arena is what the variants of a group share on this host. The control page is written by this process; stream and index
// pages are read, unless a pump of this process stands for a variant of another host.
type arena struct {
	control *object
	stream  *object
	index   []*object // by slot
}

// newArena makes all objects and maps them: control for writing, the others as mirrors say.
func newArena(followers int, ring int, mirror mirrors) (_ *arena, err error) {
	a := new(arena)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	control := abi.Control{Magic: abi.ControlMagic, Version: abi.AbiVersion, State: abi.StateStarting, Live: 1<<followers - 1, Epoch: 1}
	if a.control, err = newObject("control", abi.Page, abi.Append(nil, control)); err != nil {
		return nil, err
	}
	if err = a.control.mapped(unix.PROT_READ | unix.PROT_WRITE); err != nil {
		return nil, err
	}
	if err = a.control.shut(); err != nil {
		return nil, err
	}
	stream := abi.Stream{Magic: abi.StreamMagic, Version: abi.AbiVersion, RingSize: uint32(ring)}
	if a.stream, err = newObject("stream", abi.Page+ring, abi.Append(nil, stream)); err != nil {
		return nil, err
	}
	if err = mirror.open(a.stream, mirror.stream); err != nil {
		return nil, err
	}
	for slot := range followers {
		o, err := newObject(fmt.Sprintf("index-%d", slot), abi.Page, abi.Append(nil, abi.Index{Magic: abi.IndexMagic, Version: abi.AbiVersion}))
		if err != nil {
			return nil, err
		}
		a.index = append(a.index, o)
		if err = mirror.open(o, mirror.index[slot]); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// mirrors says which objects a pump of this process writes, because their writer is a variant of another host.
type mirrors struct {
	stream bool
	index  [abi.MaxFollowers]bool
}

func (mirrors) open(o *object, write bool) error {
	if !write {
		return o.mapped(unix.PROT_READ)
	}
	if err := o.mapped(unix.PROT_READ | unix.PROT_WRITE); err != nil {
		return err
	}
	return o.shut()
}

func (a *arena) close() error {
	var errs []error
	for _, o := range append([]*object{a.control, a.stream}, a.index...) {
		if o != nil {
			errs = append(errs, o.close())
		}
	}
	return errors.Join(errs...)
}

func (a *arena) controlPage() *abi.Control { return (*abi.Control)(unsafe.Pointer(&a.control.mem[0])) }
func (a *arena) streamPage() *abi.Stream   { return (*abi.Stream)(unsafe.Pointer(&a.stream.mem[0])) }
func (a *arena) indexPage(slot int) *abi.Index {
	return (*abi.Index)(unsafe.Pointer(&a.index[slot].mem[0]))
}
func (a *arena) head() uint64 { return atomic.LoadUint64(&a.streamPage().Head) }
func (a *arena) setRunning()  { atomic.StoreUint32(&a.controlPage().State, abi.StateRunning) }

// counters are the variant's own, in the page that it writes.
func (a *arena) counters(v *variant) *abi.Counters {
	if v.leads() {
		return &a.streamPage().Counters
	}
	return &a.indexPage(v.slot).Counters
}

// setEnding tells every variant that looks to leave with code.
func (a *arena) setEnding(code int) {
	p := a.controlPage()
	atomic.StoreUint32(&p.ExitCode, uint32(code))
	atomic.StoreUint32(&p.State, abi.StateEnding)
}

// drop takes a follower out of the group.
func (a *arena) drop(slot int) {
	p := a.controlPage()
	atomic.StoreUint32(&p.Live, atomic.LoadUint32(&p.Live)&^(1<<slot))
	atomic.AddUint32(&p.Epoch, 1)
}

// progress is how far a follower's lane is, read at one moment. Its writer may be under attack: these are numbers to show and
// to compare with older ones, never lengths to trust.
type progress struct {
	tail, compared, done uint64
	waits                bool
}

func (a *arena) progress(slot int) progress {
	p := a.indexPage(slot)
	return progress{
		tail: atomic.LoadUint64(&p.Tail), compared: atomic.LoadUint64(&p.Compared), done: atomic.LoadUint64(&p.Done),
		waits: atomic.LoadUint32(&p.Waits) != 0,
	}
}

// forcedAt says whether the record at a place of the stream is a signal that the leader took where it stood. Both the place and
// the record may be an attacker's.
func (a *arena) forcedAt(place uint64) bool {
	ring := a.stream.mem[abi.Page:]
	first := atomic.LoadUint64((*uint64)(unsafe.Pointer(&ring[place%uint64(len(ring))&^7]))) // the size, then kind and flags
	return uint8(first>>32) == abi.RecSignal && uint8(first>>40)&abi.RfForced != 0
}
