package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/monmod/monmod/test/internal/scratch"
)

// Addresses are those of a pair's guests, on eth0. Nothing else is on their network, and none of this system's is touched.
var Addresses = [2]string{"10.0.0.1", "10.0.0.2"}

// Pair runs two guests at once whose network cards are connected to each other. Each starts when it is ready: scripts have to
// wait for each other, and the first to end takes the network along. When one guest cannot come to its end the other is ended.
func Pair(ctx context.Context, first, second Options) ([2]Result, error) {
	var (
		results [2]Result
		errs    [2]error
		wait    sync.WaitGroup
	)
	dir, err := scratch.New()
	if err != nil {
		return results, err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "net")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, o := range []Options{first, second} {
		net := card{address: Addresses[i] + "/24"}
		server := "on"
		if i == 1 {
			server = "off"
			net.ready = func(ctx context.Context) error { return appears(ctx, socket) }
		}
		net.qemu = []string{
			"-netdev", fmt.Sprintf("stream,id=net,server=%s,addr.type=unix,addr.path=%s", server, socket),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=net,mac=52:54:00:00:00:%02x,romfile=", i+1),
		}
		wait.Go(func() {
			if results[i], errs[i] = run(ctx, o, net); errs[i] != nil {
				errs[i] = fmt.Errorf("guest %d of a pair: %w", i+1, errs[i])
				cancel()
			}
		})
	}
	wait.Wait()
	return results, errors.Join(errs[:]...)
}

// appears waits until there is a file at path. QEMU gives up at once where nobody listens.
func appears(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the other guest's network at %s: %w", path, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
