package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monmod/monmod/internal/keys"
)

// A peer in a process of its own is this test binary, started with a description of what to be.
const childVariable = "MONMOD_PEER_TEST_CHILD"

type childSpec struct {
	Group, Network, KeysDir string
	ID, Other               uint16
	Listen, Address         string
	PeerTimeout             time.Duration
}

type childEvent struct {
	What   string // "up", "failed", "ended"
	Text   string
	Loss   bool
	Silent time.Duration
	Frames int
}

// child connects, keeps both directions full, and tells on standard output how it went. It ends with its standard input.
func child(spec string) int {
	var s childSpec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	out := json.NewEncoder(os.Stdout)
	opts := Options{Listen: Endpoint{s.Network, s.Listen}, StartTimeout: 10 * time.Second, PeerTimeout: s.PeerTimeout}
	if s.KeysDir != "" {
		k, err := keys.Load(s.KeysDir, s.Group, int(s.ID))
		if err != nil {
			out.Encode(childEvent{What: "failed", Text: err.Error()})
			return 1
		}
		opts.Keys = k
	}
	mesh, err := Connect(context.Background(), Self{Group: s.Group, ID: s.ID}, []Peer{{ID: s.Other, Network: s.Network, Address: s.Address}}, opts)
	if err != nil {
		out.Encode(childEvent{What: "failed", Text: err.Error()})
		return 1
	}
	out.Encode(childEvent{What: "up"})
	session := mesh.Session(s.Other)
	go func() {
		for session.Send(1, make([]byte, 64<<10)) == nil {
		}
	}()
	frames := 0
	err = session.Recv(func(uint8, []byte) error {
		frames++
		return nil
	})
	var loss *LossError
	e := childEvent{What: "ended", Text: err.Error(), Loss: errors.As(err, &loss), Frames: frames}
	if loss != nil {
		e.Silent = loss.Silent
	}
	out.Encode(e)
	return 0
}

type childProcess struct {
	cmd    *exec.Cmd
	events chan childEvent
}

// spawn starts a child, by way of the command in front where there is one.
func spawn(t *testing.T, spec childSpec, front ...string) *childProcess {
	t.Helper()
	text, err := json.Marshal(spec)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	args := append(front, self)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	p := &childProcess{cmd: cmd, events: make(chan childEvent, 4)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var e childEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				p.events <- e
			}
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Signal(syscall.SIGCONT)
		cmd.Process.Kill()
		<-read
		cmd.Wait()
	})
	return p
}

func (p *childProcess) want(t *testing.T, what string, d time.Duration) childEvent {
	t.Helper()
	e := within(t, d, what, p.events)
	if e.What != what {
		t.Fatalf("got %+v, want %q", e, what)
	}
	return e
}

// TestPeerProcess kills or stops a peer's process in the middle of a load.
func TestPeerProcess(t *testing.T) {
	const timeout = time.Second
	for _, transport := range []string{"unix", "tcp4", "tcp6"} {
		for _, c := range []struct {
			signal        syscall.Signal
			words         []string // any of them
			after, before time.Duration
		}{
			{syscall.SIGKILL, []string{"without a goodbye", "was reset"}, 0, time.Second},
			{syscall.SIGSTOP, []string{"sent nothing any more"}, timeout - 600*time.Millisecond, timeout + time.Second},
		} {
			for victim := range 2 {
				t.Run(fmt.Sprintf("%s/%v/variant %d", transport, c.signal, victim+1), func(t *testing.T) {
					g := newGroup(t, transport, 1, 2)
					spec := func(id uint16) childSpec {
						return childSpec{Group: g.name, Network: g.network, KeysDir: g.keysDir, ID: id, Other: 3 - id,
							Listen: g.listen[id], Address: g.listen[3-id], PeerTimeout: timeout}
					}
					both := []*childProcess{spawn(t, spec(1)), spawn(t, spec(2))}
					for _, p := range both {
						p.want(t, "up", 10*time.Second)
					}
					time.Sleep(150 * time.Millisecond)
					began := time.Now()
					must(t, both[victim].cmd.Process.Signal(c.signal))
					e := both[1-victim].want(t, "ended", timeout+3*time.Second)
					took := time.Since(began)
					found := false
					for _, w := range c.words {
						found = found || strings.Contains(e.Text, w)
					}
					if !e.Loss || !found || !strings.Contains(e.Text, fmt.Sprintf("variant %d was lost", victim+1)) || e.Frames == 0 {
						t.Errorf("got %+v", e)
					}
					if took < c.after || took > c.before {
						t.Errorf("noticed after %v, silent for %v", took, e.Silent)
					}
				})
			}
		}
	}
}

// TestLinkTakenDown is two hosts, as far as the network is concerned: the cable is pulled in the middle of a load.
func TestLinkTakenDown(t *testing.T) {
	const timeout = time.Second
	for _, c := range []struct{ name, one, two, bits string }{
		{"IPv4", "10.99.7.1", "10.99.7.2", "24"},
		{"IPv6", "fd99:7::1", "fd99:7::2", "64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			netns := [2]string{fmt.Sprintf("mmpeer%da", os.Getpid()), fmt.Sprintf("mmpeer%db", os.Getpid())}
			for i, ns := range netns {
				ip(t, "netns", "add", ns)
				t.Cleanup(func() { ip(t, "netns", "del", netns[i]) })
			}
			ip(t, "-n", netns[0], "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", netns[1])
			for i, address := range []string{c.one, c.two} {
				dev := fmt.Sprintf("v%d", i)
				add := []string{"-n", netns[i], "addr", "add", address + "/" + c.bits, "dev", dev}
				if c.name == "IPv6" {
					add = append(add, "nodad")
				}
				ip(t, add...)
				ip(t, "-n", netns[i], "link", "set", dev, "up")
			}
			g := &group{name: "web", keysDir: makeKeys(t, "web", 1, 2)}
			var both []*childProcess
			at := func(address string) string {
				if c.name == "IPv6" {
					address = "[" + address + "]"
				}
				return address + ":7771"
			}
			for i, own := range []string{c.one, c.two} {
				spec := childSpec{Group: g.name, Network: "tcp", KeysDir: g.keysDir, ID: uint16(i + 1), Other: uint16(2 - i),
					Listen: at(own), Address: at(c.one), PeerTimeout: timeout}
				both = append(both, spawn(t, spec, "ip", "netns", "exec", netns[i]))
			}
			for _, p := range both {
				p.want(t, "up", 10*time.Second)
			}
			time.Sleep(300 * time.Millisecond)
			began := time.Now()
			ip(t, "-n", netns[1], "link", "set", "v1", "down")
			for i, p := range both {
				e := p.want(t, "ended", timeout+3*time.Second)
				if took := time.Since(began); took > timeout+time.Second {
					t.Errorf("variant %d noticed after %v", i+1, took)
				}
				if !e.Loss || e.Frames == 0 || !strings.Contains(e.Text, fmt.Sprintf("variant %d was lost", 2-i)) {
					t.Errorf("variant %d: %+v", i+1, e)
				}
				t.Logf("variant %d: %s", i+1, e.Text)
			}
		})
	}
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
