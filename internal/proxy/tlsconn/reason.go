package tlsconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

var (
	errTimeout  = errors.New("the handshake took too long")
	errOverload = errors.New("too many handshakes at once")
)

// Reason is why a handshake failed, one of few, for the label of a metric.
type Reason string

// The reasons. Those of verification are about the peer's certificate.
const (
	ReasonTimeout       Reason = "timeout"
	ReasonOverload      Reason = "overload"
	ReasonClosed        Reason = "closed"             // the peer went away
	ReasonNotTLS        Reason = "not_tls"            // it speaks something else
	ReasonNoCertificate Reason = "no_certificate"     // none was presented
	ReasonExpired       Reason = "expired"            // or not valid yet
	ReasonUntrusted     Reason = "untrusted"          // of an authority that is not in the bundle
	ReasonWrongName     Reason = "wrong_name"         // of somebody else
	ReasonCertificate   Reason = "bad_certificate"    // anything else about it
	ReasonRefused       Reason = "refused_by_peer"    // it sent an alert
	ReasonNegotiation   Reason = "negotiation_failed" // no version, cipher suite or ALPN in common
)

// HandshakeError says that a handshake failed, and why.
type HandshakeError struct {
	Reason Reason
	Err    error
}

// Error names the reason's details.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("TLS handshake (%s): %v", e.Reason, e.Err)
}

// Unwrap returns what crypto/tls or the check of the peer said.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Reasoner is an error of a config's callbacks that knows its reason.
type Reasoner interface {
	error
	HandshakeReason() Reason
}

func handshakeError(err error) *HandshakeError {
	return &HandshakeError{Reason: reasonOf(err), Err: err}
}

func reasonOf(err error) Reason {
	if own, ok := errors.AsType[Reasoner](err); ok {
		return own.HandshakeReason()
	}
	if r := reasonOfCertificate(err); r != "" {
		return r
	}
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.Is(err, errTimeout):
		return ReasonTimeout
	case errors.Is(err, errOverload):
		return ReasonOverload
	case errors.Is(err, ErrTruncated), errors.Is(err, io.EOF), errors.Is(err, evloop.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ReasonClosed
	case errors.As(err, &header):
		return ReasonNotTLS
	case errors.As(err, &op) && op.Op == "remote error":
		return ReasonRefused
	default:
		return ReasonNegotiation
	}
}

func reasonOfCertificate(err error) Reason {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var any *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ReasonExpired
	case errors.As(err, &authority):
		return ReasonUntrusted
	case errors.As(err, &name):
		return ReasonWrongName
	case errors.As(err, &invalid), errors.As(err, &any):
		return ReasonCertificate
	case err.Error() == noClientCertificate:
		return ReasonNoCertificate
	default:
		return ""
	}
}

// noClientCertificate is how crypto/tls says it; there is no type for it. A test
// holds that it still does.
const noClientCertificate = "tls: client didn't provide a certificate"
