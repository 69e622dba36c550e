package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// lossWords says what became of a connection, for people. silence is not among them: nothing happened then.
func lossWords(err error) string {
	var broke protocolError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var op *net.OpError
	switch {
	case errors.As(err, &broke):
		return "it broke the protocol: it sent " + broke.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection without a goodbye (its supervisor ended or was killed)"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset (its supervisor ended or was killed, or a firewall cut in)"
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded):
		return "it no longer takes what is sent to it (its host or the link to it is down)"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN):
		return "its host can no longer be reached: " + err.Error()
	case errors.As(err, &record), errors.As(err, &alert), errors.As(err, &op) && op.Op == "local error":
		return "the data on the connection was damaged or forged: " + err.Error()
	}
	return err.Error()
}

const sameKeys = ": run `monmod keygen` once for the group and give each host the ca.crt and the key made there"

// keyHint adds the next step to what TLS says about keys.
func keyHint(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	var op *net.OpError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ": correct the clock, or make new keys with `monmod keygen`"
	case errors.As(err, &unknown), errors.As(err, &verify), errors.As(err, &invalid):
		return sameKeys
	// An alert of the other end arrives as "remote error": it could not accept what this side showed.
	case errors.As(err, &alert), errors.As(err, &op) && op.Op == "remote error":
		return sameKeys
	}
	return ""
}
