package keys

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Identity is one variant's keys, loaded and checked.
type Identity struct {
	Group string
	ID    int

	certificate tls.Certificate
	authority   *x509.CertPool
}

// Problem is what is wrong with a variant's keys, and what to do.
type Problem struct {
	Err error
	Fix string
}

func (p *Problem) Error() string { return p.Err.Error() + ": " + p.Fix }

// Unwrap gives what is wrong.
func (p *Problem) Unwrap() error { return p.Err }

func wrong(fix, format string, args ...any) error { return &Problem{fmt.Errorf(format, args...), fix} }

// Load reads variant id's keys of a group from dir and checks all that can be
// checked without a peer: the private key belongs to this user or root and is
// readable by nobody else, it fits the certificate, the certificate names
// group and id, hangs from ca.crt and is valid now.
func Load(dir, group string, id int) (*Identity, error) {
	authorityPath, certificatePath, keyPath := paths(dir, id)
	authority, err := read(authorityPath, false)
	if err != nil {
		return nil, err
	}
	certificate, err := read(certificatePath, false)
	if err != nil {
		return nil, err
	}
	key, err := read(keyPath, true)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, wrong("copy both from one run of monmod keygen", "%s and %s do not belong together (%w)", certificatePath, keyPath, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, wrong(again, "%s holds no certificate", authorityPath)
	}
	i := &Identity{Group: group, ID: id, certificate: pair, authority: pool}
	switch holder, err := i.verify([]*x509.Certificate{pair.Leaf}); {
	case err != nil:
		return nil, wrong("make new keys with monmod keygen, and give each host its own", "%s: %w", certificatePath, err)
	case holder != id:
		return nil, wrong("copy "+CertificateFile(id)+" from where monmod keygen made it", "%s is variant %d's certificate, not variant %d's", certificatePath, holder, id)
	}
	return i, nil
}

// Server gives the configuration of the side that listens. A peer that shows
// no certificate of the group, or that of this very variant, is refused in the
// handshake; Peer tells which variant came.
func (i *Identity) Server() *tls.Config {
	return i.config(func(peer int) error {
		if peer == i.ID {
			return fmt.Errorf("a peer says that it is variant %d, as this one is: give every host its own key", peer)
		}
		return nil
	})
}

// Client gives the configuration of the side that dials variant peer, and
// that refuses anyone else.
func (i *Identity) Client(peer int) *tls.Config {
	return i.config(func(found int) error {
		if found != peer {
			return fmt.Errorf("variant %d answers where variant %d is expected: compare the addresses in the group file with the hosts", found, peer)
		}
		return nil
	})
}

// Peer gives the ID of the variant at the other end of a connection whose
// handshake is complete.
func (i *Identity) Peer(state tls.ConnectionState) (int, error) {
	if !state.HandshakeComplete {
		return 0, errors.New("the handshake with the peer is not complete")
	}
	return i.verify(state.PeerCertificates)
}

// config is mutual TLS 1.3. Both sides verify in VerifyConnection, by group
// and ID: a name or address, which Go would check by itself, says nothing
// about which variant it is. Sessions are not resumed, so that every
// connection proves possession of the key.
func (i *Identity) config(accept func(peer int) error) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		MaxVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{i.certificate},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // replaced, not skipped: see VerifyConnection
		SessionTicketsDisabled: true,
		NextProtos:             []string{"monmod"},
		VerifyConnection: func(state tls.ConnectionState) error {
			peer, err := i.verify(state.PeerCertificates)
			if err != nil {
				return err
			}
			return accept(peer)
		},
	}
}

// verify checks a chain against the group's authority and returns the ID that
// its first certificate names.
func (i *Identity) verify(chain []*x509.Certificate) (int, error) {
	if len(chain) == 0 {
		return 0, errors.New("the peer shows no certificate")
	}
	leaf := chain[0]
	group, id, err := holderOf(leaf)
	if err != nil {
		return 0, err
	}
	if group != i.Group {
		return 0, fmt.Errorf("the certificate is of group %q, this is group %q", group, i.Group)
	}
	if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return 0, fmt.Errorf("the certificate of variant %d is valid from %s to %s only", id, leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly))
	}
	// Both usages, because who dials is decided by the IDs. No intermediates:
	// the authority signs variants and nothing else.
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		options := x509.VerifyOptions{Roots: i.authority, KeyUsages: []x509.ExtKeyUsage{usage}}
		if _, err := leaf.Verify(options); err != nil {
			return 0, fmt.Errorf("the certificate of variant %d is not from this group's %s (%w)", id, AuthorityFile, err)
		}
	}
	return id, nil
}

// maxFile bounds what is read; the files have a few hundred bytes.
const maxFile = 64 << 10

const (
	readable = "make it readable for the user that runs the variant, and for nobody else"
	again    = "copy it again from where monmod keygen made it"
)

// read reads one file, and a private one only if nobody else can.
func read(path string, private bool) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, wrong("make them with monmod keygen and give each host its own, or write keys: none to run without authentication", "reading keys: %w", err)
	}
	if err != nil {
		return nil, wrong(readable, "reading keys: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, wrong(readable, "reading keys: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, wrong(again, "reading keys: %s is no regular file", path)
	}
	if private {
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			return nil, wrong("chmod 600 it, and make new keys if they may have", "others can read the private key %s (mode %#o)", path, mode)
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != 0 && int(s.Uid) != os.Geteuid() {
			return nil, wrong("chown it to the user that runs the variant", "the private key %s belongs to another user", path)
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, wrong(readable, "reading keys: %w", err)
	}
	if len(data) > maxFile {
		return nil, wrong(again, "reading keys: %s has more than %d bytes, it is no key file", path, maxFile)
	}
	return data, nil
}
