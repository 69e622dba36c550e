package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestConnect(t *testing.T) {
	for _, transport := range transports {
		for _, order := range []string{"listener first", "dialer first"} {
			t.Run(transport+"/"+order, func(t *testing.T) {
				g := newGroup(t, transport, 1, 2)
				members := []*member{g.member(t, 1), g.member(t, 2)}
				if order == "dialer first" {
					members[0], members[1] = members[1], members[0]
				}
				out := start(t, 150*time.Millisecond, members...)
				for i, o := range out {
					if o.err != nil {
						t.Fatal(o.err)
					}
					own, other := members[i].self.ID, 3-members[i].self.ID
					s := o.mesh.Session(other)
					if string(s.Start()) != fmt.Sprintf("start of %d", other) || s.ID() != other || o.mesh.Session(own) != nil {
						t.Errorf("variant %d: session %d with start %q", own, s.ID(), s.Start())
					}
					if v, ok := s.Fact("cpu"); !ok || v != fmt.Sprintf("cpu of %d", other) || len(s.Facts()) != 3 {
						t.Errorf("variant %d: facts %v", own, s.Facts())
					}
					if warned := strings.Contains(members[i].log.String(), "WITHOUT KEYS"); warned != (transport == "plain") {
						t.Errorf("variant %d: warned of missing keys: %v", own, warned)
					}
				}
				if transport == "unix" {
					if _, err := os.Lstat(g.listen[1]); !errors.Is(err, os.ErrNotExist) {
						t.Errorf("the socket is left behind: %v", err)
					}
				}
			})
		}
	}
}

func TestMeshOfThree(t *testing.T) {
	for _, transport := range []string{"unix", "tcp4"} {
		t.Run(transport, func(t *testing.T) {
			g := newGroup(t, transport, 3, 7, 9)
			out := start(t, 50*time.Millisecond, g.member(t, 9), g.member(t, 3), g.member(t, 7))
			for _, o := range out {
				if o.err != nil {
					t.Fatal(o.err)
				}
				if n := len(o.mesh.Sessions()); n != 2 {
					t.Errorf("%d sessions", n)
				}
			}
			// 7 leaves: both others learn why, each once, and keep each other.
			if err := out[2].mesh.Close(70, "a divergence"); err != nil {
				t.Error(err)
			}
			for _, o := range out[:2] {
				end := within(t, time.Second, "the end of 7", o.mesh.Ended())
				var bye *ByeError
				if !errors.As(end.Err, &bye) || end.Peer != 7 || bye.Code != 70 || bye.Text != "a divergence" {
					t.Errorf("got %+v", end)
				}
			}
			if a, b := out[0].mesh.Session(3).Err(), out[1].mesh.Session(9).Err(); a != nil || b != nil {
				t.Errorf("the others lost each other: %v, %v", a, b)
			}
		})
	}
}

func TestDifferencesAreNamedOnBothSides(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *member)
		words  []string
	}{
		{"configuration", func(m *member) { m.self.Digest[0] = 0xff }, []string{"configuration", "ff0203", "010203", "the same group file"}},
		{"program", func(m *member) { m.self.Facts[0].Value = "sha256:88" }, []string{"program", `"sha256:77"`, `"sha256:88"`, "install the same package"}},
		{"base", func(m *member) { m.self.Facts[1].Value = "0x1000" }, []string{"base (must not be the same)", `"0x1000"`}},
		{"missing fact", func(m *member) { m.self.Facts = nil }, []string{"program", "(nothing)"}},
		{"several", func(m *member) { m.self.Facts[0].Value = "x"; m.self.Digest[0] = 0 }, []string{"configuration", "program"}},
	} {
		for _, transport := range []string{"unix", "tcp4"} {
			t.Run(c.name+"/"+transport, func(t *testing.T) {
				g := newGroup(t, transport, 1, 2)
				a, b := g.member(t, 1), g.member(t, 2)
				c.change(b)
				for i, o := range start(t, 0, a, b) {
					var diff *DifferenceError
					if !errors.As(o.err, &diff) {
						t.Fatalf("variant %d: %v (%T)", i+1, o.err, o.err)
					}
					wantWords(t, "the error", diff.Error(), append(c.words, "variant 1 has", "variant 2 has")...)
				}
			})
		}
	}
}

func TestThirdPeerLearnsOfTheFailure(t *testing.T) {
	g := newGroup(t, "tcp4", 1, 2, 3)
	a, b, c := g.member(t, 1), g.member(t, 2), g.member(t, 3)
	c.self.Facts[0].Value = "other"
	out := start(t, 100*time.Millisecond, a, b, c)
	for i, o := range out {
		if o.err == nil {
			t.Fatalf("variant %d started", i+1)
		}
	}
	// 1 and 2 were a pair already; each sees 3 for itself or hears of it.
	for _, o := range out {
		wantWords(t, "the error", o.err.Error(), "program", "other")
	}
}

func TestOtherVersionIsNamed(t *testing.T) {
	t.Run("listener is newer", func(t *testing.T) {
		g := newGroup(t, "plain", 1, 2)
		ln, err := net.Listen("tcp", g.listen[1])
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			if conn, err := ln.Accept(); err == nil {
				conn.Write(append(appendPreface(nil, 7), "whatever version 7 says"...))
				newLink(conn, "").part()
			}
		}()
		_, err = g.member(t, 2).connect()
		wantVersion(t, err, 7)
	})
	t.Run("dialer is older", func(t *testing.T) {
		g := newGroup(t, "unix", 1, 2)
		m := g.member(t, 1)
		theirs := make(chan uint16, 1)
		go func() {
			conn := knock(t, g, 1)
			defer conn.Close()
			conn.Write(appendPreface(nil, 0))
			v, err := newLink(conn, "").readPreface()
			if err != nil {
				t.Errorf("the older one cannot tell what it met: %v", err)
			}
			theirs <- v
		}()
		_, err := m.connect()
		wantVersion(t, err, 0)
		if v := within(t, time.Second, "the preface", theirs); v != Version {
			t.Errorf("the older one saw version %d", v)
		}
	})
	t.Run("stranger with a version does not end the start", func(t *testing.T) {
		g := newGroup(t, "plain", 1, 2)
		a := g.member(t, 1)
		go func() {
			conn := knock(t, g, 1)
			defer conn.Close()
			conn.Write(appendPreface(nil, 9))
			newLink(conn, "").readPreface()
		}()
		out := start(t, 200*time.Millisecond, a, g.member(t, 2))
		if out[0].err != nil || out[1].err != nil {
			t.Fatal(out)
		}
		wantWords(t, "the log", a.log.String(), "version 9", "version 1")
	})
}

func wantVersion(t *testing.T, err error, theirs uint16) {
	t.Helper()
	var v *VersionError
	if !errors.As(err, &v) || v.Ours != Version || v.Theirs != theirs {
		t.Fatalf("got %v", err)
	}
	wantWords(t, "the error", err.Error(), fmt.Sprintf("version %d", theirs), fmt.Sprintf("version %d", Version), "install the same monmod")
}

// knock connects to a variant's listener as soon as it is there.
func knock(t *testing.T, g *group, id uint16) net.Conn {
	t.Helper()
	for range 200 {
		if conn, err := net.Dial(g.network, g.listen[id]); err == nil {
			return conn
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the listener never came")
	return nil
}

func TestWrongKeys(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, a, b *member)
		words  []string // in what each side says
	}{
		{"of another authority", func(t *testing.T, a, b *member) {
			b.opts.Keys = loadKeys(t, makeKeys(t, "web", 1, 2), "web", 2)
		}, []string{"keygen"}},
		{"of another group", func(t *testing.T, a, b *member) {
			b.self.Group = "db"
			b.opts.Keys = loadKeys(t, makeKeys(t, "db", 1, 2), "db", 2)
		}, nil},
		{"none at all", func(t *testing.T, a, b *member) { b.opts.Keys, b.opts.Plaintext = nil, true }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGroup(t, "tcp4", 1, 2)
			a, b := g.member(t, 1), g.member(t, 2)
			a.opts.StartTimeout, b.opts.StartTimeout = 700*time.Millisecond, 700*time.Millisecond
			c.change(t, a, b)
			for i, o := range start(t, 0, a, b) {
				var absent *AbsentError
				if !errors.As(o.err, &absent) || len(absent.Peers) != 1 || absent.Peers[0].ID != uint16(2-i) {
					t.Fatalf("variant %d: %v (%T)", i+1, o.err, o.err)
				}
				if absent.Peers[0].Reason == "" {
					t.Errorf("variant %d does not say why: %v", i+1, o.err)
				}
			}
			wantWords(t, "the listener's log", a.log.String(), "turned a caller away")
			wantWords(t, "the dialer's log", b.log.String(), append(c.words, "not reached yet")...)
		})
	}
}

func TestCallersThatAreNotThePeer(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *member)
		words  []string // in the caller's error and in the listener's log
	}{
		{"other group", func(m *member) { m.self.Group = "db" }, []string{`group "web"`, `group "db"`}},
		{"unknown ID", func(m *member) { m.self.ID = 5 }, []string{"does not wait for a variant 5"}},
		{"looks for another", func(m *member) {
			m.self.ID = 7
			m.peers = []Peer{{ID: 4, Network: m.peers[0].Network, Address: m.peers[0].Address}}
		}, []string{"this is variant 1", "looks for 4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGroup(t, "unix", 1, 2)
			a, b, wrong := g.member(t, 1), g.member(t, 2), g.member(t, 2)
			c.change(wrong)
			out := start(t, 200*time.Millisecond, a, wrong, b)
			var refused *RefusedError
			if !errors.As(out[1].err, &refused) {
				t.Fatalf("the caller got %v (%T)", out[1].err, out[1].err)
			}
			wantWords(t, "the caller's error", out[1].err.Error(), c.words...)
			wantWords(t, "the listener's log", a.log.String(), c.words...)
			if out[0].err != nil || out[2].err != nil {
				t.Errorf("the group did not come together: %v, %v", out[0].err, out[2].err)
			}
		})
	}
}

func TestDuplicateID(t *testing.T) {
	t.Run("two dialers", func(t *testing.T) {
		g := newGroup(t, "tcp4", 1, 2, 3) // 3 is late, so 1 still listens
		ctx, cancel := context.WithCancel(context.Background())
		a, first, second := g.member(t, 1), g.member(t, 2), g.member(t, 2)
		for _, m := range []*member{first, second} {
			m.peers = []Peer{{ID: 1, Network: "tcp", Address: g.listen[1]}}
		}
		done := make(chan error, 1)
		go func() {
			_, err := Connect(ctx, a.self, a.peers, a.opts)
			done <- err
		}()
		out := start(t, 300*time.Millisecond, first, second)
		if out[0].err != nil {
			t.Fatal(out[0].err)
		}
		var refused *RefusedError
		if !errors.As(out[1].err, &refused) {
			t.Fatalf("the second got %v", out[1].err)
		}
		wantWords(t, "the second's error", out[1].err.Error(), "variant 2 is already connected", "start each variant once")
		if err := out[0].mesh.Session(1).Err(); err != nil {
			t.Errorf("the first lost its session: %v", err)
		}
		cancel()
		wantWords(t, "the listener's end", within(t, 3*time.Second, "Connect", done).Error(), "context canceled")
	})
	for _, transport := range []string{"unix", "tcp4"} {
		t.Run("two listeners/"+transport, func(t *testing.T) {
			g := newGroup(t, transport, 1, 2)
			a, b := g.member(t, 1), g.member(t, 1)
			a.opts.StartTimeout = 600 * time.Millisecond
			out := start(t, 200*time.Millisecond, a, b)
			if out[1].err == nil || !strings.Contains(out[1].err.Error(), "running") {
				t.Errorf("the second got %v", out[1].err)
			}
		})
	}
}

func TestAbsentPeer(t *testing.T) {
	g := newGroup(t, "tcp6", 1, 2, 3)
	m := g.member(t, 2)
	m.opts.StartTimeout = 300 * time.Millisecond
	began := time.Now()
	_, err := m.connect()
	var absent *AbsentError
	if !errors.As(err, &absent) || len(absent.Peers) != 2 {
		t.Fatalf("got %v", err)
	}
	wantWords(t, "the error", err.Error(), "variant 1 (tcp "+g.listen[1]+")", "nothing listens there", "variant 3 (expected at tcp "+g.listen[2]+")")
	if d := time.Since(began); d > time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestPeerThatDiesWhileTheGroupAssembles(t *testing.T) {
	g := newGroup(t, "unix", 1, 2, 3)
	a, b := g.member(t, 1), g.member(t, 2)
	b.peers = []Peer{{ID: 1, Network: "unix", Address: g.listen[1]}}
	failed := make(chan error, 1)
	go func() {
		_, err := a.connect()
		failed <- err
	}()
	mesh, err := b.connect()
	if err != nil {
		t.Fatal(err)
	}
	mesh.Session(1).link.raw.Close()
	err = within(t, time.Second, "the listener's failure", failed)
	var loss *LossError
	if !errors.As(err, &loss) || loss.Peer != 2 {
		t.Errorf("got %v", err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	g := newGroup(t, "unix", 1, 2)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: g.listen[1], Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false) // as a kill leaves it
	ln.Close()
	for _, o := range start(t, 0, g.member(t, 1), g.member(t, 2)) {
		if o.err != nil {
			t.Error(o.err)
		}
	}
}

func TestSocketFolderMustBePrivate(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string) (path string)
		want  string
	}{
		{"others may enter", func(t *testing.T, dir string) string {
			must(t, os.Chmod(dir, 0o755))
			return dir + "/s"
		}, "must belong to user 0 with mode 0700"},
		{"another owner", func(t *testing.T, dir string) string {
			must(t, os.Chown(dir, 1234, 1234))
			return dir + "/s"
		}, "belongs to user 1234"},
		{"a symbolic link", func(t *testing.T, dir string) string {
			must(t, os.Symlink(dir, dir+"/link"))
			return dir + "/link/s"
		}, "is not a folder"},
		{"below somebody else's", func(t *testing.T, dir string) string {
			must(t, os.Mkdir(dir+"/in", 0o700))
			must(t, os.Chown(dir, 1234, 1234))
			return dir + "/in/s"
		}, "could replace them"},
		{"below a writable one", func(t *testing.T, dir string) string {
			must(t, os.Mkdir(dir+"/in", 0o700))
			must(t, os.Chmod(dir, 0o777))
			return dir + "/in/s"
		}, "can be written by other users"},
		{"a file in the socket's place", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(dir+"/s", nil, 0o600))
			return dir + "/s"
		}, "is none: remove it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ln, err := listenUnix(context.Background(), c.spoil(t, shortDir(t)))
			if err == nil {
				ln.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("made when it is not there", func(t *testing.T) {
		dir := filepath.Join(shortDir(t), "new")
		ln, err := listenUnix(context.Background(), dir+"/s")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		d, _ := os.Stat(dir)
		s, _ := os.Stat(dir + "/s")
		if d.Mode().Perm() != 0o700 || s.Mode().Perm() != 0o600 {
			t.Errorf("modes %v and %v", d.Mode(), s.Mode())
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOtherUserIsRefused opens the folder on purpose, so that the kernel's word is what is left to stop another user.
func TestOtherUserIsRefused(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	must(t, os.Chmod(filepath.Dir(path), 0o755))
	ln, err := net.Listen("unix", path)
	must(t, err)
	defer ln.Close()
	must(t, os.Chmod(path, 0o666))
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and its user with it
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, 1234, 1234, 1234); errno != 0 {
			t.Errorf("becoming another user: %v", errno)
		}
		if conn, err := net.Dial("unix", path); err != nil {
			t.Error(err)
			ln.Close()
		} else {
			conn.Close()
		}
	}()
	conn, err := ln.Accept()
	must(t, err)
	defer conn.Close()
	if err := checkUser(conn); err == nil || !strings.Contains(err.Error(), "user 1234 is at the other end") {
		t.Errorf("got %v", err)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *member)
		want   string
	}{
		{"ID 0", func(m *member) { m.self.ID = 0 }, "has ID 0"},
		{"peer ID 0", func(m *member) { m.peers[0].ID = 0 }, "variant ID 0"},
		{"own ID among the peers", func(m *member) { m.peers[0].ID = 1 }, "used twice"},
		{"two peers of one ID", func(m *member) { m.peers = append(m.peers, m.peers[0]) }, "ID 2 is used twice"},
		{"no endpoint", func(m *member) { m.opts.Listen = Endpoint{} }, `network ""`},
		{"no port", func(m *member) { m.opts.Listen.Address = "127.0.0.1" }, "missing port"},
		{"port 0", func(m *member) { m.opts.Listen.Address = "127.0.0.1:0" }, "has no port"},
		{"relative socket", func(m *member) { m.opts.Listen = Endpoint{"unix", "x/s"} }, "absolute path"},
		{"long socket path", func(m *member) { m.opts.Listen = Endpoint{"unix", "/" + strings.Repeat("x", 107)} }, "path of 108 bytes"},
		{"no keys", func(m *member) { m.opts.Keys = nil }, "no keys were given"},
		{"small window", func(m *member) { m.opts.Window = 1000 }, "window of 1000 bytes"},
		{"time-out below two heartbeats", func(m *member) { m.opts.PeerTimeout = 150 * time.Millisecond }, "at least two heartbeats"},
		{"negative time", func(m *member) { m.opts.StartTimeout = -1 }, "negative"},
		{"long group", func(m *member) { m.self.Group = strings.Repeat("g", 300) }, "group name of 255 bytes"},
		{"same fact twice", func(m *member) { m.self.Facts[1].Name = "program" }, "two facts"},
		{"huge start state", func(m *member) { m.self.Start = make([]byte, maxStart+1) }, "start state of 8388609 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGroup(t, "tcp4", 1, 2)
			m := g.member(t, 1)
			c.change(m)
			_, err := m.connect()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
