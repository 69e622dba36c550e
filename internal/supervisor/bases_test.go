package supervisor

import (
	"slices"
	"testing"

	"github.com/monmod/monmod/internal/abi"
)

func TestBasesAreApart(t *testing.T) {
	regions := map[string]func(abi.Bases) uint64{
		"monitor": func(b abi.Bases) uint64 { return b.Monitor }, "program": func(b abi.Bases) uint64 { return b.Program },
		"interp": func(b abi.Bases) uint64 { return b.Interp }, "stack": func(b abi.Bases) uint64 { return b.Stack },
		"mmap": func(b abi.Bases) uint64 { return b.Mmap },
	}
	for range 200 {
		var all []abi.Bases
		for place := range abi.MaxVariants {
			all = append(all, chooseBases(place))
		}
		var addresses []uint64
		for name, of := range regions {
			low := map[uint64]bool{}
			for place, b := range all {
				at := of(b)
				if at%abi.Page != 0 || at < 0x1000_0000_0000 || at >= 0x7fff_0000_0000 {
					t.Fatalf("%s of place %d at %#x", name, place, at)
				}
				if low[at>>12&0xf] {
					t.Fatalf("%s: two places have the same second byte in %#x", name, at)
				}
				low[at>>12&0xf] = true
				addresses = append(addresses, at)
			}
		}
		slices.Sort(addresses)
		for i := 1; i < len(addresses); i++ {
			if gap := addresses[i] - addresses[i-1]; gap < 64*gib {
				t.Fatalf("%#x and %#x are only %d GiB apart", addresses[i-1], addresses[i], gap/gib)
			}
		}
		if b := all[0].Brk; b%abi.Page != 0 || b >= brkGapMax {
			t.Fatalf("brk gap %#x", b)
		}
	}
}

// TestBasesLeaveSanitizersRoom looks at where AddressSanitizer maps its allocator over whatever is there: mappings, which grow down
// to the beginning of their slice, and what lies beside them must be elsewhere.
func TestBasesLeaveSanitizersRoom(t *testing.T) {
	for place := range uint64(abi.MaxVariants) {
		for _, r := range []region{monitorRegion, programRegion, mmapRegion, interpRegion, stackRegion} {
			from, to := r.low+place*r.slice, r.low+(place+1)*r.slice
			for _, space := range []uint64{0x5000_0000_0000, 0x6000_0000_0000} {
				if from < space+4*tib && to > space {
					t.Errorf("%#x to %#x of place %d is also the allocator's", from, to, place)
				}
			}
			if r.skip+r.room > r.slice {
				t.Errorf("the slices from %#x on overlap", r.low)
			}
		}
	}
}
