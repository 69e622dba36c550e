//go:build !race

// The race detector allocates by itself, so this is measured without it.

package peer

import (
	"fmt"
	"testing"
)

// TestNoAllocationPerFrame measures both ends together on the steady path. crypto/tls makes one small object per record it reads, which is not ours to
// change.
func TestNoAllocationPerFrame(t *testing.T) {
	const record = 16 << 10
	for _, c := range []struct {
		transport string
		size      int
		allowed   float64
	}{
		{"unix", 100, 0}, {"unix", 64 << 10, 0}, {"plain", 100, 0}, {"plain", 64 << 10, 0},
		{"tcp4", 100, 1}, {"tcp4", 64 << 10, 64<<10/record + 1},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.transport, c.size), func(t *testing.T) {
			a, b, _ := pair(t, c.transport, calm)
			came := make(chan struct{}, 1)
			go b.Recv(func(uint8, []byte) error {
				came <- struct{}{}
				return nil
			})
			head, body := make([]byte, 8), make([]byte, c.size)
			perFrame := testing.AllocsPerRun(2000, func() {
				if err := a.Send(1, head, body); err != nil {
					t.Fatal(err)
				}
				<-came
			})
			if perFrame > c.allowed {
				t.Errorf("%v allocations per frame, allowed are %v", perFrame, c.allowed)
			}
		})
	}
}
