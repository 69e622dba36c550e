package report

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Redact takes the application's data out of a report: the bytes of buffers (not paths and addresses of sockets), the
// arguments of the program, and the registers that do not say where it stood. Sizes and digests stay. Bytes that stood
// whole in a form have no digest of their own; they get one by a key that is thrown away, so that equal ones of one
// report can still be told from others, while a short secret cannot be found by trying.
func (r *Report) Redact() {
	r.Conclude() // what differs must be found before it is taken out
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand ends the program where there is no randomness
	digest := func(b []byte) string {
		mac := hmac.New(sha256.New, key)
		mac.Write(b)
		return hex.EncodeToString(mac.Sum(nil)[:digestBytes])
	}
	if d := r.Difference; d != nil && r.hides(d.Argument) {
		d.Leader, d.Other = "", ""
	}
	for _, s := range []*Side{&r.Leader, &r.Other} {
		if s.Call != nil {
			call := s.Call.redacted(digest)
			s.Call = &call
		}
		before := make([]Call, len(s.Before))
		for i := range s.Before {
			before[i] = s.Before[i].redacted(digest)
		}
		s.Before = before
		if g := s.Registers; g != nil {
			s.Registers = &Registers{RIP: g.RIP, RSP: g.RSP, RBP: g.RBP}
		}
	}
	if n := len(r.Args); n > 0 {
		r.Args = []string{fmt.Sprintf("(%d redacted)", n)}
	}
	r.Redacted = true
}

// hides says whether the argument of that index of either side is taken out.
func (r *Report) hides(index int) bool {
	for _, c := range []*Call{r.Leader.Call, r.Other.Call} {
		if c == nil {
			continue
		}
		for i := range c.Args {
			if c.Args[i].Index == index && c.Args[i].secret() {
				return true
			}
		}
	}
	return false
}

var publicKinds = map[string]bool{"path": true, "addrin": true, "addrout": true, "sigset": true, "bits": true}

func (a *Arg) secret() bool { return a.inMemory() && !publicKinds[a.Kind] }

func (c *Call) redacted(digest func([]byte) string) Call {
	out := *c
	out.Args = append([]Arg(nil), c.Args...)
	for i := range out.Args {
		a := &out.Args[i]
		if !a.secret() {
			continue
		}
		if a.Digest == "" {
			a.Digest = digest(a.Raw)
		}
		a.Raw = nil
		a.Text = fmt.Sprintf("redacted (%d bytes, digest %s)", a.Total, a.Digest[:8])
	}
	return out
}
