package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

const (
	validYears = 10
	// Hosts' clocks differ; a certificate is to hold on all of them at once.
	clockSkew = time.Hour
)

// Member is a variant to make keys for. Its Address (IP literal, host name or
// empty) goes into the certificate for other tools to see; monmod itself goes
// by group and ID.
type Member struct {
	ID      int
	Address string
}

type file struct {
	name  string
	mode  fs.FileMode
	block *pem.Block
}

// Generate makes the keys of a whole group in dir, which it creates where it
// is not there: ca.crt, and for each member ID.crt and ID.key (mode 0600). It
// returns the paths it made. It never overwrites: if any of the files exists,
// nothing is made.
//
// The authority's own key is forgotten when Generate returns, so that nobody
// can steal it. Adding a variant means making the group's keys anew.
func Generate(group string, members []Member, dir string) ([]string, error) {
	if group == "" || len(members) == 0 {
		return nil, errors.New("making keys needs a group's name and at least one variant")
	}
	files, err := certify(group, members)
	if err != nil {
		return nil, fmt.Errorf("making the keys of group %q: %w", group, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of keys: %w: name a folder that can be made with --out", err)
	}
	for _, f := range files {
		p := filepath.Join(dir, f.name)
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is already there and keys are never overwritten: name another folder with --out, or move the old keys away", p)
		}
	}
	var made []string
	for _, f := range files {
		p := filepath.Join(dir, f.name)
		if err := write(p, f); err != nil {
			for _, p := range made {
				_ = os.Remove(p) // it was made a moment ago; the first error is the one to tell
			}
			return nil, err
		}
		made = append(made, p)
	}
	return made, nil
}

// certify makes all files of a group in memory.
func certify(group string, members []Member) ([]file, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	authority, err := template(fmt.Sprintf("monmod group %s", group))
	if err != nil {
		return nil, err
	}
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.MaxPathLenZero = true
	authority.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, public, private)
	if err != nil {
		return nil, err
	}
	files := []file{{AuthorityFile, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der}}}
	for _, m := range members {
		leafPublic, leafPrivate, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		leaf, err := template(fmt.Sprintf("monmod group %s variant %d", group, m.ID))
		if err != nil {
			return nil, err
		}
		leaf.BasicConstraintsValid = true
		leaf.KeyUsage = x509.KeyUsageDigitalSignature
		leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		leaf.URIs = append(leaf.URIs, holder(group, m.ID))
		if ip, err := netip.ParseAddr(m.Address); err == nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip.AsSlice())
		} else if m.Address != "" {
			leaf.DNSNames = append(leaf.DNSNames, m.Address)
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, authority, leafPublic, private)
		if err != nil {
			return nil, err
		}
		if made, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("the name cannot stand in a certificate: %w", err)
		} else if _, _, err := holderOf(made); err != nil {
			return nil, err
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(leafPrivate)
		if err != nil {
			return nil, err
		}
		files = append(files, file{CertificateFile(m.ID), 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der}},
			file{KeyFile(m.ID), 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}})
	}
	return files, nil
}

func template(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.AddDate(validYears, 0, 0),
	}, nil
}

// write makes one new file, whole or not at all, with its mode from the start.
func write(path string, f file) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return fmt.Errorf("writing a key file: %w: make its folder writable, or name another with --out", err)
	}
	defer func() {
		if closing := out.Close(); err == nil && closing != nil {
			err = fmt.Errorf("writing %s: %w: make room, or name another folder with --out", path, closing)
		}
		if err != nil {
			_ = os.Remove(path) // half a key is no key
		}
	}()
	if err := pem.Encode(out, f.block); err != nil {
		return fmt.Errorf("writing %s: %w: make room, or name another folder with --out", path, err)
	}
	if err := out.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w: make room, or name another folder with --out", path, err)
	}
	return nil
}
