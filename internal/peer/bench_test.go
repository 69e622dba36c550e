package peer

import (
	"testing"
	"time"
)

// calm gives both ends the times of production: a benchmark is not about heartbeats.
func calm(a, b *member) {
	for _, m := range []*member{a, b} {
		m.opts.Heartbeat, m.opts.PeerTimeout = 500*time.Millisecond, 3*time.Second
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, transport := range transports {
		b.Run(transport, func(b *testing.B) {
			here, there, _ := pair(b, transport, calm)
			go there.Recv(func(kind uint8, p []byte) error { return there.Send(kind, p) })
			back := make(chan struct{}, 1)
			go here.Recv(func(uint8, []byte) error {
				back <- struct{}{}
				return nil
			})
			record := make([]byte, 128)
			b.ReportAllocs()
			for b.Loop() {
				if err := here.Send(0, record); err != nil {
					b.Fatal(err)
				}
				<-back
			}
		})
	}
}

func BenchmarkThroughput(b *testing.B) {
	for _, transport := range transports {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"128B", 128}, {"4KiB", 4 << 10}, {"64KiB", 64 << 10}, {"256KiB", MaxPayload}} {
			b.Run(transport+"/"+size.name, func(b *testing.B) {
				here, there, _ := pair(b, transport, calm)
				done := make(chan struct{})
				go there.Recv(func(kind uint8, _ []byte) error {
					if kind == 1 {
						close(done)
					}
					return nil
				})
				payload := make([]byte, size.bytes)
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				for b.Loop() {
					if err := here.Send(0, payload); err != nil {
						b.Fatal(err)
					}
				}
				if err := here.Send(1); err != nil {
					b.Fatal(err)
				}
				<-done
			})
		}
	}
}
