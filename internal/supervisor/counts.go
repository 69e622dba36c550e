package supervisor

import (
	"sync/atomic"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/syscalls"
)

// Counts is what a variant has done, as struct mm_counters has it: its own word, to be shown and not to be trusted.
type Counts struct {
	Calls           uint64            `json:"calls"`
	Local           uint64            `json:"local"`    // not in the stream
	Compared        uint64            `json:"compared"` // cross-checked
	Exempt          uint64            `json:"exempt"`   // in the stream, exempt by the policy
	BytesCompared   uint64            `json:"bytes_compared"`
	BytesReplicated uint64            `json:"bytes_replicated"`
	Waits           uint64            `json:"waits"`
	Sleeps          uint64            `json:"sleeps"` // of the waits
	ByClass         map[string]uint64 `json:"by_class"`
}

// countsOf reads counters that their variant goes on changing.
func countsOf(c *abi.Counters) *Counts {
	load := atomic.LoadUint64
	out := &Counts{
		Calls: load(&c.Calls), Local: load(&c.Local), Compared: load(&c.Compared), Exempt: load(&c.Exempt),
		BytesCompared: load(&c.BytesCompared), BytesReplicated: load(&c.BytesReplicated),
		Waits: load(&c.Waits), Sleeps: load(&c.Sleeps), ByClass: make(map[string]uint64),
	}
	for i := range c.ByClass {
		if n := load(&c.ByClass[i]); n != 0 {
			out.ByClass[syscalls.Class(i).String()] = n
		}
	}
	return out
}
