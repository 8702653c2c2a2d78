package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"math/big"
	"net"
	"time"
)

// handshakeTimeout bounds all that comes before the welcome.
const handshakeTimeout = 15 * time.Second

// SecretSize is the length of the secrets that NewSecret makes.
const SecretSize = 32

// NewSecret returns a secret for one fleet.
func NewSecret() []byte { return randomBytes(SecretSize) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// The sides of a handshake, so that a proof can't be sent back to its maker.
const (
	coordinatorSide = "coordinator"
	workerSide      = "worker"
)

// A handshake is what both sides prove that they know the secret over.
type handshake struct {
	secret              []byte
	binding             []byte // of the TLS connection
	index               int
	workers, challenges []byte // the numbers of both
}

func (h handshake) proof(side string) []byte {
	mac := hmac.New(sha256.New, h.secret)
	var index [8]byte
	binary.BigEndian.PutUint64(index[:], uint64(h.index))
	for _, part := range [][]byte{[]byte(side), {version}, index[:], h.binding, h.workers, h.challenges} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		mac.Write(length[:])
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func (h handshake) proves(side string, proof []byte) bool { return hmac.Equal(proof, h.proof(side)) }

// bindingOf returns material that only the two ends of a TLS connection share.
func bindingOf(conn *tls.Conn) ([]byte, error) {
	state := conn.ConnectionState()
	binding, err := state.ExportKeyingMaterial("EXPORTER-scaleproof-fleet", nil, 32)
	if err != nil {
		return nil, fmt.Errorf("binding the proof to the connection: %w", err)
	}
	return binding, nil
}

// newCertificate makes a certificate that is good for encryption alone: what it
// says is believed by nobody.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// A RefusedError is a coordinator's refusal, or a worker's of a coordinator: to
// try again is of no use.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// greet is the worker's side of the handshake.
func greet(raw net.Conn, h hello, secret []byte) (*tls.Conn, error) {
	// The certificate is not looked at: the proof below is bound to the
	// connection, and no other can know it.
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := conn.Handshake(); err != nil {
		return nil, fmt.Errorf("encrypting the connection: %w", err)
	}
	binding, err := bindingOf(conn)
	if err != nil {
		return nil, err
	}
	h.Version, h.Nonce = version, randomBytes(32)
	if err := writeMessage(conn, kindHello, h); err != nil {
		return nil, err
	}
	var c challenge
	if err := expect(conn, kindChallenge, &c); err != nil {
		return nil, err
	}
	shake := handshake{secret, binding, h.Index, h.Nonce, c.Nonce}
	if !shake.proves(coordinatorSide, c.Proof) {
		return nil, &RefusedError{"the coordinator does not know this worker's secret"}
	}
	if _, err := conn.Write(appendFrame(nil, kindProof, shake.proof(workerSide))); err != nil {
		return nil, err
	}
	if err := expect(conn, kindWelcome, nil); err != nil {
		return nil, err
	}
	return conn, raw.SetDeadline(time.Time{})
}

// expect reads the next message, which must be of a kind; a refusal is a
// *RefusedError.
func expect(conn net.Conn, want kind, into any) error {
	k, body, err := readFrame(conn, greetingLimit)
	switch {
	case err != nil:
		return err
	case k == kindRefusal:
		var r refusal
		if err := decode(body, &r); err != nil {
			return err
		}
		return &RefusedError{r.Reason}
	case k != want:
		return errFrame
	case into == nil:
		return nil
	}
	return decode(body, into)
}

func writeMessage(conn net.Conn, k kind, message any) error {
	body, err := encode(message)
	if err != nil {
		return err
	}
	_, err = conn.Write(appendFrame(nil, k, body))
	return err
}

// admit is the coordinator's side of the handshake. refuse says why a worker with
// the secret is not wanted, or returns "". The worker is not told of a refusal,
// which is a *RefusedError: that is the caller's to do.
func admit(conn *tls.Conn, secret []byte, refuse func(hello) string) (h hello, err error) {
	if err := conn.Handshake(); err != nil {
		return h, fmt.Errorf("encrypting the connection: %w", err)
	}
	binding, err := bindingOf(conn)
	if err != nil {
		return h, err
	}
	if err := expect(conn, kindHello, &h); err != nil {
		return h, err
	}
	if h.Version != version {
		reason := fmt.Sprintf("the worker speaks version %d of the protocol (%s), the coordinator version %d: give both the same scaleproof", h.Version, h.Build, version)
		return h, &RefusedError{reason}
	}
	shake := handshake{secret, binding, h.Index, h.Nonce, randomBytes(32)}
	if err := writeMessage(conn, kindChallenge, challenge{shake.challenges, shake.proof(coordinatorSide)}); err != nil {
		return h, err
	}
	k, proof, err := readFrame(conn, greetingLimit)
	if err != nil {
		return h, err
	}
	reason := ""
	if k != kindProof || len(h.Nonce) < 16 || !shake.proves(workerSide, proof) {
		reason = "the worker does not know the secret"
	} else {
		reason = refuse(h)
	}
	if reason != "" {
		return h, &RefusedError{reason}
	}
	return h, writeMessage(conn, kindWelcome, struct{}{})
}
