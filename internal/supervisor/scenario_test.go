package supervisor

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
)

// fakeRuns are what a fake library does after GO.
var fakeRuns = map[string]func(*fake){
	"exit7": func(f *fake) {
		if f.leads() {
			f.publish(64)
		} else {
			f.arrive(64)
		}
		f.stop(7)
	},
	"stream": func(f *fake) { // more than the ring holds, checked byte by byte
		const whole = 5 << 20
		ring, size := f.ring(), uint64(f.start.RingSize)
		for at := uint64(0); at < whole; {
			if f.leads() {
				n := uint64(8 * (1 + rand.IntN(1000)))
				for at+n-atomic.LoadUint64(&f.index[0].Tail) > size {
					time.Sleep(50 * time.Microsecond)
				}
				for i := at; i < at+n; i++ {
					ring[i%size] = byte(i * 7 / 5)
				}
				at += n
				f.publish(at)
				continue
			}
			head := atomic.LoadUint64(&f.stream.Head)
			for i := at; i < head; i++ {
				if ring[i%size] != byte(i*7/5) {
					f.stop(1)
				}
			}
			if at == head {
				time.Sleep(50 * time.Microsecond)
			}
			at = head
			f.took(at)
		}
		f.stop(4)
	},
	"killed-alike": func(f *fake) {
		check(f.link.send(abi.MsgStop, abi.Append(nil, abi.Stop{BySignal: uint32(unix.SIGKILL)})))
		check(unix.Kill(os.Getpid(), unix.SIGKILL))
		select {}
	},
	"other-exit": func(f *fake) {
		if f.leads() {
			f.stop(0)
		}
		f.stop(1)
	},
	"follower-dies": func(f *fake) {
		if !f.leads() {
			check(unix.Kill(os.Getpid(), unix.SIGKILL))
		}
		select {}
	},
	"follower-stays": func(f *fake) {
		if f.leads() {
			f.stop(0)
		}
		select {}
	},
	"diverge": func(f *fake) {
		if !f.leads() {
			f.say(abi.MsgDiverged)
		}
		select {}
	},
	"deaf": func(f *fake) { // to the kick: only force ends it
		signal.Reset(kickSignal)
		signal.Ignore(kickSignal)
		if !f.leads() {
			f.say(abi.MsgDiverged)
		}
		select {}
	},
	"audit": func(f *fake) {
		if !f.leads() {
			f.say(abi.MsgAudit)
			f.arrive(64)
			f.stop(3)
		}
		time.Sleep(100 * time.Millisecond)
		f.publish(64)
		f.stop(3)
	},
	"signal": func(f *fake) {
		if f.leads() {
			got := make(chan os.Signal, 1)
			signal.Notify(got, unix.SIGUSR1)
			f.publish(64)
			<-got
			f.publish(128)
			f.stop(5)
		}
		f.arrive(64)
		check(f.link.send(abi.MsgSignal, abi.Append(nil, abi.Signal{Signo: uint32(unix.SIGUSR1)})))
		f.arrive(128)
		f.stop(5)
	},
	"late-follower": func(f *fake) {
		if f.leads() {
			f.publish(64)
			select {}
		}
		burn()
	},
	"late-leader": func(f *fake) {
		if f.leads() {
			burn()
		}
		f.index[0].Waits = 1
		select {}
	},
	"computing": func(f *fake) { // longer than lag, while nobody waits
		end := time.Now().Add(600 * time.Millisecond)
		for time.Now().Before(end) {
		}
		f.stop(0)
	},
	"refused": func(f *fake) {
		check(f.link.send(abi.MsgFatal, append(abi.Append(nil, abi.Fatal{ExitCode: 70, Nr: 5, Error: -1}), "no \x1b[31mforks"...)))
		select {}
	},
	"unknown-message":  func(f *fake) { f.sayRaw(abi.MsgHello, nil) },
	"short-signal":     func(f *fake) { f.sayRaw(abi.MsgSignal, []byte{1}) },
	"sigkill-by-proxy": func(f *fake) { f.sayRaw(abi.MsgSignal, abi.Append(nil, abi.Signal{Signo: 9})) },
	"case-without-end": func(f *fake) { f.sayRaw(abi.MsgDiverged, abi.Append(nil, abi.Case{Records: 1 << 30})) },
	"garbage-after-go": func(f *fake) { _, _ = f.link.conn.Write([]byte("garbage")); select {} },
	"audit-unasked":    func(f *fake) { f.say(abi.MsgAudit); select {} },
	"stop-twice": func(f *fake) {
		for range 2 {
			check(f.link.send(abi.MsgStop, abi.Append(nil, abi.Stop{})))
		}
		select {}
	},
	"noise": func(f *fake) {
		for range maxNoise + 50 {
			check(f.link.send(abi.MsgEvent, []byte("a word")))
		}
		f.stop(0)
	},
}

// say sends a case: this variant's record, then the leader's.
func (f *fake) say(typ uint16) {
	body := abi.Append(nil, abi.Case{Seq: 4, Records: 2, Reason: abi.WhyForm})
	body = append(append(body, fakeCall(4, "secret")...), fakeCall(4, "public")...)
	check(f.link.send(typ, body))
}

func (f *fake) sayRaw(typ uint16, body []byte) {
	if !f.leads() {
		check(f.link.send(typ, body))
	}
	select {}
}

// fakeStarts are what a hostile or broken process does instead of the start protocol.
var fakeStarts = map[string]func(*fake){
	"silent": func(*fake) {},
	"garbage": func(f *fake) {
		b := make([]byte, 300)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		_, err := f.link.conn.Write(b)
		check(err)
	},
	"oversized": func(f *fake) {
		_, err := f.link.conn.Write(make([]byte, abi.MessageMax+1))
		check(err)
	},
	"wrong-token":   func(f *fake) { f.hello(bytes.Repeat([]byte{7}, 32), fakeState(), allSeals) },
	"unsealed":      func(f *fake) { f.hello(f.token, fakeState(), unix.F_SEAL_GROW) },
	"no-sections":   func(f *fake) { f.hello(f.token, []byte("nothing of that kind"), allSeals) },
	"empty-state":   func(f *fake) { f.hello(f.token, nil, allSeals) },
	"missing-state": func(f *fake) { check(f.link.send(abi.MsgHello, abi.Append(nil, abi.Hello{Token: [32]uint8(f.token)}))) },
	"lacks-section": func(f *fake) {
		f.hello(f.token, abi.AppendEnd(abi.AppendSection(nil, abi.SecCwd, []byte("/"))), allSeals)
	},
	"no-folder": func(f *fake) {
		f.hello(f.token, fakeStateBut(abi.SecCwd, nil), allSeals)
	},
	"few-files": func(f *fake) {
		limits := bytes.Repeat([]byte{0xff}, 256)
		binary.LittleEndian.PutUint64(limits[16*unix.RLIMIT_NOFILE:], 19)
		f.hello(f.token, fakeStateBut(abi.SecLimits, limits), allSeals)
	},
	"too-early": func(f *fake) { check(f.link.send(abi.MsgReady, nil)) },
	"ready-at-once": func(f *fake) {
		f.hello(f.token, fakeState(), allSeals)
		check(f.link.send(abi.MsgReady, nil))
	},
	"long-mapped": func(f *fake) {
		f.hello(f.token, fakeState(), allSeals)
		check(f.link.send(abi.MsgMapped, []byte("why")))
	},
	"flood": func(f *fake) {
		for range 10 * maxPending {
			if f.link.send(abi.MsgEvent, []byte(strings.Repeat("x", 100))) != nil {
				return
			}
		}
	},
	"many-descriptors": func(f *fake) {
		check(f.link.send(abi.MsgHello, abi.Append(nil, abi.Hello{Token: [32]uint8(f.token)}), 0, 0, 0, 0, 0, 0, 0, 0))
	},
	"leaves":   func(*fake) { os.Exit(3) },
	"hangs-up": func(f *fake) { f.link.close() },
	"no-program": func(f *fake) {
		check(f.link.send(abi.MsgFatal, append(abi.Append(nil, abi.Fatal{ExitCode: 127, Nr: 0xffffffff, Error: -2}), "no interpreter"...)))
		os.Exit(127)
	},
}
