package sigrtmin

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEachIsCaught: every one of many signals arrives, while all threads of Go's are at work and its collector moves their
// stacks.
func TestEachIsCaught(t *testing.T) {
	const many = 5000
	busy, stop := sync.WaitGroup{}, make(chan struct{})
	for range 2 * runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					deep(n % 1000)
				}
			}
		})
	}
	defer busy.Wait()
	defer close(stop)
	for round := range 2 {
		to := make(chan os.Signal)
		end, err := Notify(to)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for range many {
				if err := unix.Kill(os.Getpid(), Signal); err != nil {
					t.Errorf("send it: %v", err)
				}
			}
		}()
		late := time.After(time.Minute)
		for n := range many {
			select {
			case sig := <-to:
				if sig != Signal {
					t.Fatalf("round %d: %v came", round, sig)
				}
			case <-late:
				t.Fatalf("round %d: %d of %d came", round, n, many)
			}
		}
		end()
	}
}

// deep needs more stack than a goroutine has at first, and makes work for the collector.
func deep(n int) []byte {
	b := make([]byte, 64)
	if n > 0 {
		b[0] = deep(n - 1)[1]
	}
	return b
}

// TestStopWaitsForNobody: signals that nobody takes keep stop from nothing, and are nobody's death when they come late.
func TestStopWaitsForNobody(t *testing.T) {
	end, err := Notify(make(chan os.Signal))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err := unix.Kill(os.Getpid(), Signal); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		end()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("it waits")
	}
}
