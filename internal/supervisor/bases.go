package supervisor

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/monmod/monmod/internal/abi"
)

// region is a part of the address space in which one base of every variant lies. It is cut into abi.MaxVariants slices, one
// for each place in the group, so that two variants never share one even where their supervisors chose on their own.
//
//	slice = [at, at+room) where the base may lie, then at least gap bytes that are left to what grows there
type region struct {
	low   uint64 // of the first slice
	slice uint64 // bytes of one slice
	skip  uint64 // bytes at the beginning of a slice where no base lies: what grows downwards goes there
	room  uint64 // bytes in which a base may lie
}

const (
	gib = uint64(1) << 30
	tib = uint64(1) << 40
)

// The layout, upwards. What grows has the gap below or above it; all of it ends well below the end of user space, where the
// processor's guard page and, far above, the vsyscall page are. Nothing lies in the 4 TiB from 0x5000_0000_0000 and from
// 0x6000_0000_0000 on, over which the allocator of AddressSanitizer (of newer compilers, and of older ones) maps its own.
var (
	monitorRegion = region{low: 0x2000_0000_0000, slice: 6 * tib, skip: 64 * gib, room: 5 * tib}
	programRegion = region{low: 0x5500_0000_0000, slice: 256 * gib, room: 128 * gib}
	mmapRegion    = region{low: 0x6400_0000_0000, slice: 3*tib + 256*gib, skip: 2 * tib, room: tib}
	interpRegion  = region{low: 0x7e00_0000_0000, slice: 128 * gib, room: 64 * gib}
	stackRegion   = region{low: 0x7f00_0000_0000, slice: 127 * gib, skip: 66 * gib, room: 60 * gib}
)

// brkGapMax bounds the gap between the program's image and its heap, as the kernel does.
const brkGapMax = 32 << 20

// chooseBases gives the variant at place (0 to abi.MaxVariants-1, its rank among the IDs of the group) its addresses.
func chooseBases(place int) abi.Bases {
	return abi.Bases{
		Monitor: monitorRegion.choose(place),
		Program: programRegion.choose(place),
		Interp:  interpRegion.choose(place),
		Stack:   stackRegion.choose(place),
		Mmap:    mmapRegion.choose(place),
		Brk:     random() % brkGapMax &^ (abi.Page - 1),
	}
}

// choose draws a page. Its lowest four bits are of a pair that belongs to the place alone: otherwise one in sixteen groups
// would have two variants in which overwriting the two low bytes of a pointer leads to the same place.
func (r region) choose(place int) uint64 {
	pages := r.room / abi.Page
	page := random()%pages&^0xf | uint64(place)<<1 | random()&1
	return r.low + uint64(place)*r.slice + r.skip + page*abi.Page
}

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.LittleEndian.Uint64(b[:])
}

// newKey is the session's key of the digests.
func newKey() [2]uint64 { return [2]uint64{random(), random()} }
