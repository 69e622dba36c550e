// Package keys makes and loads what the supervisors of one group prove
// themselves with to each other: a certificate authority of the group's own,
// and for each variant a certificate that names the group and the ID.
//
// What travels over the sessions, and who dials whom, is package peer's.
package keys

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
)

// AuthorityFile is the certificate that all certificates of a group hang from.
const AuthorityFile = "ca.crt"

// CertificateFile and KeyFile name variant id's files in a folder of keys.
func CertificateFile(id int) string { return strconv.Itoa(id) + ".crt" }

// KeyFile is the private half; it stays on the variant's own host.
func KeyFile(id int) string { return strconv.Itoa(id) + ".key" }

// scheme is that of the URI by which a certificate names its holder,
// monmod://GROUP/ID.
const scheme = "monmod"

func holder(group string, id int) *url.URL {
	return &url.URL{Scheme: scheme, Host: group, Path: "/" + strconv.Itoa(id)}
}

var holderID = regexp.MustCompile(`^/([1-9][0-9]{0,4})$`)

// holderOf reads group and ID out of a certificate that names exactly one.
func holderOf(c *x509.Certificate) (group string, id int, err error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != scheme {
		return "", 0, fmt.Errorf("certificate %q names no variant of a group", c.Subject.CommonName)
	}
	u := c.URIs[0]
	m := holderID.FindStringSubmatch(u.Path)
	if m == nil || u.Host == "" {
		return "", 0, fmt.Errorf("certificate %q names no variant of a group", c.Subject.CommonName)
	}
	id, err = strconv.Atoi(m[1])
	return u.Host, id, err
}

func paths(dir string, id int) (authority, certificate, key string) {
	return filepath.Join(dir, AuthorityFile), filepath.Join(dir, CertificateFile(id)), filepath.Join(dir, KeyFile(id))
}
