package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monmod/monmod/internal/keys"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(childVariable); spec != "" {
		os.Exit(child(spec))
	}
	os.Exit(m.Run())
}

// transports are the ways in which two variants of one host can be joined.
var transports = []string{"unix", "tcp4", "tcp6", "plain"}

// group is a variant group of a test: where its members listen and what they hold.
type group struct {
	name    string
	network string
	listen  map[uint16]string
	keysDir string // empty: plaintext
}

func newGroup(t testing.TB, transport string, ids ...uint16) *group {
	t.Helper()
	g := &group{name: "web", network: "tcp", listen: map[uint16]string{}}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		switch transport {
		case "unix":
			g.network = "unix"
			g.listen[id] = filepath.Join(shortDir(t), fmt.Sprintf("%d.sock", id))
		case "tcp6":
			g.listen[id] = freeAddress(t, "[::1]:0")
		default:
			g.listen[id] = freeAddress(t, "127.0.0.1:0")
		}
	}
	if strings.HasPrefix(transport, "tcp") {
		g.keysDir = makeKeys(t, g.name, ids...)
	}
	return g
}

func makeKeys(t testing.TB, name string, ids ...uint16) string {
	t.Helper()
	var members []keys.Member
	for _, id := range ids {
		members = append(members, keys.Member{ID: int(id)})
	}
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := keys.Generate(name, members, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freeAddress(t testing.TB, at string) string {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// member is the arguments of one Connect.
type member struct {
	self  Self
	peers []Peer
	opts  Options
	log   *logBook
}

func (g *group) member(t testing.TB, id uint16) *member {
	t.Helper()
	m := &member{self: Self{
		Group: g.name, ID: id, Digest: [32]byte{1, 2, 3},
		Facts: []Fact{
			{Name: "program", Value: "sha256:77", MustEqual: true, Remedy: "install the same package on all hosts"},
			{Name: "base", Value: fmt.Sprintf("0x%d000", id), MustDiffer: true},
			{Name: "cpu", Value: fmt.Sprintf("cpu of %d", id)},
		},
		Start: []byte(fmt.Sprintf("start of %d", id)),
	}}
	for other, address := range g.listen {
		if other != id {
			m.peers = append(m.peers, Peer{ID: other, Network: g.network, Address: address})
		}
	}
	m.log = &logBook{}
	m.opts = Options{
		Listen: Endpoint{g.network, g.listen[id]}, StartTimeout: 5 * time.Second, HandshakeTimeout: 2 * time.Second,
		Heartbeat: 100 * time.Millisecond, PeerTimeout: time.Second, Logger: m.log.logger(), Plaintext: g.keysDir == "",
	}
	if g.keysDir != "" {
		m.opts.Keys = loadKeys(t, g.keysDir, g.name, id)
	}
	return m
}

func loadKeys(t testing.TB, dir, name string, id uint16) Keys {
	t.Helper()
	k, err := keys.Load(dir, name, int(id))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (m *member) connect() (*Mesh, error) {
	return Connect(context.Background(), m.self, m.peers, m.opts)
}

type outcome struct {
	mesh *Mesh
	err  error
}

// start runs Connect for every member, each delayed by its place times gap, and closes what came of it at the test's end.
func start(t testing.TB, gap time.Duration, members ...*member) []outcome {
	t.Helper()
	out := make([]outcome, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * gap)
			out[i].mesh, out[i].err = m.connect()
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		var wg sync.WaitGroup
		for _, o := range out {
			if o.mesh != nil {
				wg.Go(func() { o.mesh.Close(0, "the test is over") })
			}
		}
		wg.Wait()
	})
	return out
}

// pair is an established session, from both ends: a is variant 1 (the listener), b variant 2.
func pair(t testing.TB, transport string, adjust ...func(a, b *member)) (a, b *Session, meshes [2]*Mesh) {
	t.Helper()
	g := newGroup(t, transport, 1, 2)
	ma, mb := g.member(t, 1), g.member(t, 2)
	for _, f := range adjust {
		f(ma, mb)
	}
	out := start(t, 0, ma, mb)
	for _, o := range out {
		if o.err != nil {
			t.Fatal(o.err)
		}
	}
	return out[0].mesh.Session(2), out[1].mesh.Session(1), [2]*Mesh{out[0].mesh, out[1].mesh}
}

// logBook keeps what a member logged.
type logBook struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.String()
}

func (b *logBook) logger() *logrus.Logger {
	l := logrus.New()
	l.SetOutput(b)
	l.SetFormatter(&logrus.TextFormatter{DisableQuote: true})
	return l
}

// within fails the test when the channel delivers nothing in time.
func within[T any](t testing.TB, d time.Duration, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(d):
		t.Fatalf("%s: nothing within %v", what, d)
		panic("unreachable")
	}
}

func wantLoss(t testing.TB, end End, peer uint16, words string) *LossError {
	t.Helper()
	var loss *LossError
	if !errors.As(end.Err, &loss) {
		t.Fatalf("ended with %v (%T), want a loss", end.Err, end.Err)
	}
	if end.Peer != peer || loss.Peer != peer || !strings.Contains(loss.Cause, words) {
		t.Fatalf("loss of %d: %v, want one of %d with %q", end.Peer, loss, peer, words)
	}
	return loss
}

func wantWords(t testing.TB, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q:\n%s", what, w, text)
		}
	}
}
