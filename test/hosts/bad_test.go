package hosts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
)

// misfits are groups whose second host does not fit. Both hosts end with a code and words for it.
var misfits = []struct {
	name   string
	spoil  func(w *world, h *host)
	argv   []string // of the second host; nil: as the first
	status [2]int
	words  [2]string
}{
	{"keys of another run", func(w *world, h *host) { w.keys(h.config, h) }, nil, [2]int{69, 69}, [2]string{"certificate", "certificate"}},
	{"another group", func(w *world, h *host) {
		w.configure(h, strings.Replace(h.common, "group: hosts", "group: others", 1))
		w.keys(h.config, h)
	}, nil, [2]int{69, 69}, [2]string{"certificate", "certificate"}},
	{"no keys", func(w *world, h *host) { w.must(os.RemoveAll(filepath.Join(h.dir, "keys"))) }, nil, [2]int{69, 78}, [2]string{"variant 2", "monmod keygen"}},
	{"keys for everyone to read", func(w *world, h *host) { w.must(os.Chmod(filepath.Join(h.dir, "keys", "2.key"), 0o644)) }, nil,
		[2]int{69, 78}, [2]string{"variant 2", "2.key"}},
	{"another policy", func(w *world, h *host) { w.configure(h, h.common+"policy: base\n") }, nil, [2]int{78, 78}, [2]string{"configuration", "configuration"}},
	{"other arguments", nil, []string{"cat", "text", "more"}, [2]int{78, 78}, [2]string{"arguments", "arguments"}},
	{"another program", nil, []string{"head", "text"}, [2]int{78, 78}, [2]string{"program", "program"}},
	{"no such program", nil, []string{"./none"}, [2]int{69, 127}, [2]string{"variant 2", "./none"}},
	{"fs: shared", func(w *world, h *host) { w.configure(h, strings.Replace(h.common, "fs: own", "fs: shared", 1)) }, nil,
		[2]int{69, 78}, [2]string{"variant 2", "fs: own"}},
}

func TestMisfits(t *testing.T) {
	needs(t)
	for _, c := range misfits {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, tcp, "peer_timeout: 1s", "start_timeout: 2s")
			w.each(func(h *host) { w.file(h, "text", "text\n") })
			if c.spoil != nil {
				c.spoil(w, w.hosts[1])
			}
			argv := c.argv
			if argv == nil {
				argv = []string{"cat", "text"}
			}
			ps := []*proc.Process{w.start(w.hosts[0], "cat", "text"), w.start(w.hosts[1], argv...)}
			for i, p := range ps {
				r := p.Wait()
				want(t, fmt.Sprintf("host %d", i+1), r, c.status[i], c.words[i])
				if len(r.Stdout) > 0 {
					t.Errorf("the program ran: %s", r)
				}
			}
		})
	}
}

// wires are what may happen to what supervisors say to each other, in the direction from the leader to the follower. With keys
// none of it can be read or forged; without them the protocol itself has to notice.
var wires = []struct {
	name  string
	keys  bool
	spoil func(seen int, b []byte) ([]byte, error) // what came through a connection so far, the next bytes
	word  string                                   // of the follower's message
}{
	{"damaged under TLS", true, func(seen int, b []byte) ([]byte, error) { return flip(b, seen, 60000), nil }, ""},
	{"cut off under TLS", true, func(seen int, b []byte) ([]byte, error) { return cut(b, seen, 60000) }, ""},
	{"damaged preface", false, func(seen int, b []byte) ([]byte, error) { return flip(b, seen, 3), nil }, "does not speak monmod's peer protocol"},
	{"other version", false, func(seen int, b []byte) ([]byte, error) {
		if seen == 0 && len(b) >= 12 {
			binary.LittleEndian.PutUint16(b[8:], 999)
		}
		return b, nil
	}, "version"},
	{"damaged header", false, func(seen int, b []byte) ([]byte, error) { return flip(b, seen, 13), nil }, ""},
	{"cut off in the handshake", false, func(seen int, b []byte) ([]byte, error) { return cut(b, seen, 40) }, ""},
	{"cut off later", false, func(seen int, b []byte) ([]byte, error) { return cut(b, seen, 60000) }, ""},
}

func flip(b []byte, seen, at int) []byte {
	if i := at - seen; i >= 0 && i < len(b) {
		b[i] ^= 0x81
	}
	return b
}

var errCut = errors.New("the wire was cut")

func cut(b []byte, seen, at int) ([]byte, error) {
	if seen+len(b) < at {
		return b, nil
	}
	return b[:max(0, at-seen)], errCut
}

func TestWires(t *testing.T) {
	needs(t)
	for _, c := range wires {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, tcp, "peer_timeout: 1s", "start_timeout: 3s")
			w.each(func(h *host) {
				w.file(h, "role", "works")
				if !c.keys {
					w.must(os.RemoveAll(filepath.Join(h.dir, "keys")))
					text, err := os.ReadFile(h.config)
					w.must(err)
					w.must(os.WriteFile(h.config, []byte(strings.Replace(string(text), "keys: "+filepath.Join(h.dir, "keys"), "keys: none", 1)), 0o644))
				}
			})
			stop := w.between(c.spoil)
			// it reads much and says nothing, so that the wire is busy until something ends it
			argv := []string{"/usr/bin/python3", "-c", "import os\nwhile True: os.getppid(); os.urandom(4096)"}
			ps := []*proc.Process{w.start(w.hosts[0], argv...), w.start(w.hosts[1], argv...)}
			for i, p := range ps {
				r := p.Wait()
				if r.Expired || r.Status != 69 && r.Status != 78 {
					t.Errorf("host %d: want status 69 or 78: %s", i+1, r)
				}
				if !strings.Contains(string(r.Stderr), fmt.Sprintf("variant %d", 2-i)) || i == 1 && !strings.Contains(string(r.Stderr), c.word) {
					t.Errorf("host %d does not say who and what (%q): %s", i+1, c.word, r)
				}
			}
			stop()
		})
	}
}

// between takes the leader's place in the follower's network and passes everything on, the leader's words as spoil has them.
func (w *world) between(spoil func(int, []byte) ([]byte, error)) (stop func()) {
	w.t.Helper()
	w.native("ip", "-n", w.hosts[1].netns, "addr", "add", leaderIP+"/32", "dev", "lo")
	var l net.Listener
	w.must(w.hosts[1].inside(func() (err error) {
		l, err = net.Listen("tcp", leaderIP+":7772")
		return err
	}))
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		open []io.Closer
	)
	keep := func(c io.Closer) {
		mu.Lock()
		defer mu.Unlock()
		open = append(open, c)
	}
	wait.Go(func() {
		for {
			theirs, err := l.Accept()
			if err != nil {
				return
			}
			keep(theirs)
			var ours net.Conn
			err = w.hosts[0].inside(func() (err error) {
				ours, err = net.DialTimeout("tcp", leaderIP+":7772", time.Second)
				return err
			})
			if err != nil {
				theirs.Close()
				continue
			}
			keep(ours)
			wait.Go(func() {
				_, _ = io.Copy(ours, theirs)
				ours.Close()
			})
			wait.Go(func() {
				defer theirs.Close()
				b, seen := make([]byte, 4096), 0
				for {
					n, err := ours.Read(b)
					out, cut := spoil(seen, b[:n])
					seen += n
					if _, werr := theirs.Write(out); err != nil || cut != nil || werr != nil {
						return
					}
				}
			})
		}
	})
	return func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wait.Wait()
	}
}

// Whoever is not a peer and talks to the port is sent away, and the group starts all the same.
func TestStrangersAtThePort(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, "start_timeout: 10s")
	w.each(func(h *host) { w.file(h, "text", "text\n") })
	a := w.start(w.hosts[0], "cat", "text")
	for _, text := range []string{"", "GET / HTTP/1.0\r\n\r\n", strings.Repeat("\xff", 5000), "\x16\x03\x01\x02\x00\x01"} {
		w.must(w.hosts[1].inside(func() error {
			var c net.Conn
			var err error
			for end := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
				if c, err = net.DialTimeout("tcp", leaderIP+":7772", time.Second); err == nil || time.Now().After(end) {
					break
				}
			}
			if err != nil {
				return err
			}
			_, _ = io.WriteString(c, text) // it may have been sent away already
			return c.Close()
		}))
	}
	b := w.start(w.hosts[1], "cat", "text")
	want(t, "leader", a.Wait(), 0)
	want(t, "follower", b.Wait(), 0)
	if got := string(a.Output()); got != "text\n" {
		t.Errorf("the leader's output is %q", got)
	}
}

// A disk that is full keeps no group from ending as it should, and is named.
func TestFullDisk(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, limits...)
	w.file(w.hosts[0], "text", "one\n")
	w.file(w.hosts[1], "text", "two\n")
	w.each(func(h *host) {
		h.extra = fmt.Sprintf("mount -t tmpfs -o size=4k none %s; dd if=/dev/zero of=%s/full bs=4k count=1 2>/dev/null;", h.logs(), h.logs())
	})
	for i, r := range w.run("cat", "text") {
		want(t, fmt.Sprintf("host %d", i+1), r, 70, "no space left on device", w.hosts[i].logs(), "text has other data", "there is no report of it")
	}
}

// Without its library monmod starts nothing.
func TestMissingLibrary(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp, "start_timeout: 1s")
	bin := filepath.Join(w.base, "monmod")
	w.native("cp", monmod, bin)
	h := w.hosts[0]
	r, err := proc.Run(w.spec(h, bin, "run", "--id", "1", "--config", h.config, "--", "cat", "/etc/hosts"))
	w.must(err)
	want(t, "monmod without its library", r, 78, "libmonmod.so", "make build")
	if len(r.Stdout) > 0 {
		t.Errorf("the program ran: %s", r)
	}
}
