package keys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var members = []Member{{1, "127.0.0.1"}, {2, "::1"}, {65535, "db1.example.org"}, {4, ""}}

// made generates the keys of a group and returns their folder.
func made(t *testing.T, group string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "keys")
	if _, err := Generate(group, members, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t *testing.T, dir, group string, id int) *Identity {
	t.Helper()
	i, err := Load(dir, group, id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestGenerate(t *testing.T) {
	old := syscall.Umask(0) // the modes are Generate's own doing
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "keys")
	files, err := Generate("shop.web_1", members, dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + 2*len(members); len(files) != want {
		t.Errorf("%d files, want %d: %v", len(files), want, files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o644)
		if strings.HasSuffix(f, ".key") {
			want = 0o600
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %#o, want %#o", f, info.Mode().Perm(), want)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	for _, m := range members {
		i := load(t, dir, "shop.web_1", m.ID)
		c := i.certificate.Leaf
		if c.URIs[0].String() != holder("shop.web_1", m.ID).String() || c.IsCA {
			t.Errorf("certificate of %d: %v", m.ID, c.URIs)
		}
		if years := time.Until(c.NotAfter).Hours() / 24 / 365; years < 9.9 || years > 10.1 {
			t.Errorf("certificate of %d is valid for %.1f years", m.ID, years)
		}
		if m.Address != "" && c.VerifyHostname(m.Address) != nil {
			t.Errorf("certificate of %d does not name %s", m.ID, m.Address)
		}
	}
}

// Nothing that is there is overwritten, and nothing is made beside it.
func TestGenerateNeverOverwrites(t *testing.T) {
	for _, there := range []string{AuthorityFile, CertificateFile(2), KeyFile(65535)} {
		dir := t.TempDir()
		path := filepath.Join(dir, there)
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Generate("web", members, dir); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "never overwritten") {
			t.Errorf("%s: got %v", there, err)
		}
		data, err := os.ReadFile(path)
		if entries, _ := os.ReadDir(dir); err != nil || string(data) != "mine" || len(entries) != 1 {
			t.Errorf("%s: %q, %v, %d files", there, data, err, len(entries))
		}
	}
	// A second name for one file is found while writing: what was made goes.
	dir := t.TempDir()
	if _, err := Generate("web", []Member{{1, ""}, {1, ""}}, dir); err == nil {
		t.Error("one ID was given two keys")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files are left behind", len(entries))
	}
	for _, bad := range []struct {
		group   string
		members []Member
	}{{"", members}, {"web", nil}, {"a.", members}, {"ä", members}} {
		if _, err := Generate(bad.group, bad.members, dir); err == nil {
			t.Errorf("group %q with %d members was made", bad.group, len(bad.members))
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	other := made(t, "web")
	copyFrom := func(dir, from, name string) error {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), data, 0o600)
	}
	for _, c := range []struct {
		name  string
		spoil func(dir string) error
		group string
		id    int
		says  string
	}{
		{"another group", nil, "shop", 1, `is of group "web"`},
		{"no such variant", nil, "web", 3, "3.crt"},
		{"no authority", func(d string) error { return os.Remove(filepath.Join(d, AuthorityFile)) }, "web", 1, "ca.crt"},
		{"an authority of another making", func(d string) error { return copyFrom(d, other, AuthorityFile) }, "web", 1, "not from this group's ca.crt"},
		{"an empty authority", func(d string) error { return os.Truncate(filepath.Join(d, AuthorityFile), 0) }, "web", 1, "holds no certificate"},
		{"a key of another making", func(d string) error { return copyFrom(d, other, KeyFile(1)) }, "web", 1, "do not belong together"},
		{"an empty key", func(d string) error { return os.Truncate(filepath.Join(d, KeyFile(1)), 0) }, "web", 1, "do not belong together"},
		{"another variant's", func(d string) error {
			if err := os.Rename(filepath.Join(d, CertificateFile(2)), filepath.Join(d, CertificateFile(1))); err != nil {
				return err
			}
			return os.Rename(filepath.Join(d, KeyFile(2)), filepath.Join(d, KeyFile(1)))
		}, "web", 1, "is variant 2's certificate"},
		{"a key that the group can read", func(d string) error { return os.Chmod(filepath.Join(d, KeyFile(1)), 0o640) }, "web", 1, "chmod 600"},
		{"a key that all can read", func(d string) error { return os.Chmod(filepath.Join(d, KeyFile(1)), 0o604) }, "web", 1, "chmod 600"},
		{"another user's key", func(d string) error { return os.Chown(filepath.Join(d, KeyFile(1)), 1, 1) }, "web", 1, "another user"},
		{"a folder in the certificate's place", func(d string) error {
			if err := os.Remove(filepath.Join(d, CertificateFile(1))); err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(d, CertificateFile(1)), 0o700)
		}, "web", 1, "no regular file"},
		{"a pipe", func(d string) error {
			if err := os.Remove(filepath.Join(d, KeyFile(1))); err != nil {
				return err
			}
			return syscall.Mkfifo(filepath.Join(d, KeyFile(1)), 0o600)
		}, "web", 1, "no regular file"},
		{"a long file", func(d string) error { return os.Truncate(filepath.Join(d, AuthorityFile), 1<<20) }, "web", 1, "it is no key file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := made(t, "web")
			if c.spoil != nil {
				if err := c.spoil(dir); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(dir, c.group, c.id)
			var wrong *Problem
			if !errors.As(err, &wrong) || wrong.Fix == "" || strings.Contains(wrong.Err.Error(), wrong.Fix) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q and one remedy", err, c.says)
			}
		})
	}
}

func TestHolderOf(t *testing.T) {
	c := load(t, made(t, "web"), "web", 1).certificate.Leaf
	for _, uri := range []string{"https://web/1", "monmod://web/", "monmod://web/0", "monmod://web/01", "monmod://web/1/2", "monmod:///1", "monmod://web/x", "monmod://web/123456"} {
		spoilt := *c
		u := *c.URIs[0]
		parsed, err := u.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		spoilt.URIs = append(spoilt.URIs[:0:0], parsed)
		if group, id, err := holderOf(&spoilt); err == nil {
			t.Errorf("%s is variant %d of %q", uri, id, group)
		}
	}
	two := *c
	two.URIs = append(two.URIs[:1:1], two.URIs[0])
	if _, _, err := holderOf(&two); err == nil {
		t.Error("a certificate that names two variants is taken")
	}
	if _, _, err := holderOf(&x509.Certificate{}); err == nil {
		t.Error("a certificate that names none is taken")
	}
}

// handshake connects both configurations over a loopback socket and returns
// what each side found.
func handshake(t *testing.T, server, client *tls.Config) (atServer, atClient tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := listener.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		if serverErr = conn.HandshakeContext(ctx); serverErr == nil {
			_, serverErr = conn.Write([]byte{1})
			atServer = conn.ConnectionState()
		}
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, client)
	if clientErr = conn.HandshakeContext(ctx); clientErr == nil {
		// In TLS 1.3 the client hears of a refusal with its first read.
		_, clientErr = conn.Read(make([]byte, 1))
		atClient = conn.ConnectionState()
	}
	raw.Close()
	<-done
	return atServer, atClient, serverErr, clientErr
}

func TestHandshake(t *testing.T) {
	dir := made(t, "web")
	one, two := load(t, dir, "web", 1), load(t, dir, "web", 2)
	stranger := load(t, made(t, "web"), "web", 2) // the same names, another authority
	shop := load(t, made(t, "shop"), "shop", 2)
	trusting := *one // as if two groups had one authority: the names alone must do
	trusting.authority = shop.authority
	without := two.Client(1)
	without.Certificates = nil
	older := two.Client(1)
	older.MinVersion, older.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for _, c := range []struct {
		name           string
		server, client *tls.Config
		serverSays     string // "" for both: they agree
		clientSays     string
	}{
		{"two of a group", one.Server(), two.Client(1), "", ""},
		{"another authority dials", one.Server(), &tls.Config{Certificates: stranger.Client(1).Certificates, InsecureSkipVerify: true}, "not from this group's", "bad certificate"},
		{"another authority answers", stranger.Server(), two.Client(1), "bad certificate", "not from this group's"},
		{"another group dials", trusting.Server(), &tls.Config{Certificates: shop.Client(1).Certificates, InsecureSkipVerify: true}, `of group "shop"`, "bad certificate"},
		{"another variant answers", two.Server(), load(t, dir, "web", 4).Client(1), "bad certificate", "variant 2 answers where variant 1 is expected"},
		{"the same variant dials", one.Server(), &tls.Config{Certificates: one.Client(2).Certificates, InsecureSkipVerify: true}, "says that it is variant 1", "bad certificate"},
		{"no certificate", one.Server(), without, "didn't provide a certificate", "certificate required"},
		{"TLS 1.2", one.Server(), older, "unsupported versions", "protocol version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			atServer, atClient, serverErr, clientErr := handshake(t, c.server, c.client)
			if c.serverSays == "" && c.clientSays == "" {
				if serverErr != nil || clientErr != nil {
					t.Fatalf("server: %v, client: %v", serverErr, clientErr)
				}
				if id, err := one.Peer(atServer); id != 2 || err != nil {
					t.Errorf("the server met %d, %v", id, err)
				}
				if id, err := two.Peer(atClient); id != 1 || err != nil {
					t.Errorf("the client met %d, %v", id, err)
				}
				if atServer.Version != tls.VersionTLS13 || atServer.DidResume {
					t.Errorf("version %#x, resumed %v", atServer.Version, atServer.DidResume)
				}
				return
			}
			for _, side := range []struct {
				name, says string
				err        error
			}{{"server", c.serverSays, serverErr}, {"client", c.clientSays, clientErr}} {
				if side.err == nil || !strings.Contains(side.err.Error(), side.says) {
					t.Errorf("%s: got %v, want %q", side.name, side.err, side.says)
				}
			}
		})
	}
	if _, err := one.Peer(tls.ConnectionState{}); err == nil {
		t.Error("a connection without a handshake has a peer")
	}
}

// The authority's own key is nowhere: no file made holds more than one
// variant's private key.
func TestAuthorityKeyIsForgotten(t *testing.T) {
	dir := made(t, "web")
	data, err := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Errorf("%s holds more than a certificate", AuthorityFile)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1+2*len(members) {
		t.Errorf("%d files, %v", len(entries), err)
	}
}
