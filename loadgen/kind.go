package loadgen

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"scaleproof/loadgen/internal/http1"
)

// A kind is why a request failed; 0 is that it did not.
type kind uint8

const (
	kindNone kind = iota
	kindStatus
	kindCheck
	kindTimeout
	kindRefused
	kindReset
	kindClosed
	kindMalformed
	kindHeadLimit
	kindDNS
	kindTLS
	kindUnreachable
	kindFiles
	kindPorts
	kindRequest
	kindOther
	kinds // their number
)

// String is the kind's name in Result.Errors.
func (k kind) String() string {
	return [kinds]string{
		"", "status", "check", "timeout", "refused", "reset", "closed", "malformed", "head-limit",
		"dns", "tls", "unreachable", "files", "ports", "request", "other",
	}[k]
}

// kindNamed returns the kind of a name.
func kindNamed(name []byte) (kind, bool) {
	for k := range kinds {
		if k.String() == string(name) {
			return k, true
		}
	}
	return kindNone, false
}

// kindOf tells the kind of an error that a connection gave.
func kindOf(err error) kind {
	var dns *net.DNSError
	var handshake *handshakeError
	var op *net.OpError
	switch {
	case err == nil:
		return kindNone
	case errors.Is(err, http1.ErrMalformed):
		return kindMalformed
	case errors.Is(err, http1.ErrHeadLimit):
		return kindHeadLimit
	case errors.As(err, &handshake) && !isTimeout(err):
		return kindTLS
	case errors.As(err, &op) && op.Op == "remote error": // an alert, in crypto/tls' words
		return kindTLS
	case errors.Is(err, http1.ErrTruncated), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return kindClosed
	case errors.As(err, &dns):
		return kindDNS
	case isTimeout(err):
		return kindTimeout
	}
	return kindOfErrno(err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// kindOfErrno tells the kind of a failed system call.
func kindOfErrno(err error) kind {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return kindOther
	}
	switch errno {
	case syscall.ECONNREFUSED, syscall.ENOENT:
		return kindRefused
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
		return kindReset
	case syscall.ETIMEDOUT:
		return kindTimeout
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return kindUnreachable
	case syscall.EMFILE, syscall.ENFILE:
		return kindFiles
	case syscall.EADDRNOTAVAIL:
		return kindPorts
	}
	return kindOther
}
