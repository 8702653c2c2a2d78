// Package sshsig signs data with SSH keys, in the format of OpenSSH (PROTOCOL.sshsig),
// so that ssh-keygen -Y verify checks what it signs, and the keys and lists of
// signers that a team has already are enough.
package sshsig

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	magic   = "SSHSIG"
	version = 1
	begin   = "-----BEGIN SSH SIGNATURE-----"
	end     = "-----END SSH SIGNATURE-----"
	columns = 70
)

// envelope is the content of a signature, after the magic.
type envelope struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// signed is what is signed, after the magic.
type signed struct {
	Namespace, Reserved, Hash string
	Digest                    []byte
}

func toSign(namespace, hash string, digest []byte) []byte {
	return append([]byte(magic), ssh.Marshal(signed{Namespace: namespace, Hash: hash, Digest: digest})...)
}

// Sign returns the armored signature of a message. The namespace keeps one made
// for this purpose from being taken for another. RSA keys sign with SHA-512.
func Sign(signer ssh.Signer, namespace string, message []byte) ([]byte, error) {
	digest := sha512.Sum512(message)
	data := toSign(namespace, "sha512", digest[:])
	var signature *ssh.Signature
	var err error
	if algorithm, ok := signer.(ssh.AlgorithmSigner); ok && signer.PublicKey().Type() == ssh.KeyAlgoRSA {
		signature, err = algorithm.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
	} else {
		signature, err = signer.Sign(rand.Reader, data)
	}
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	blob := append([]byte(magic), ssh.Marshal(envelope{
		Version: version, PublicKey: signer.PublicKey().Marshal(), Namespace: namespace, Hash: "sha512", Signature: ssh.Marshal(*signature),
	})...)
	return armor(blob), nil
}

// ErrNotSigned is that a signature is not one of the message.
var ErrNotSigned = errors.New("the signature is not one of this text")

// Verify returns the key that has signed a message in a namespace. Whose key that
// is, is another question: see Signers.
func Verify(armored []byte, namespace string, message []byte) (ssh.PublicKey, error) {
	blob, err := unarmor(armored)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(blob, []byte(magic))
	if !ok {
		return nil, errors.New("reading a signature: it is no SSH signature")
	}
	var e envelope
	if err := ssh.Unmarshal(rest, &e); err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	if e.Version != version {
		return nil, fmt.Errorf("reading a signature: it has version %d, and this reads version %d", e.Version, version)
	}
	if e.Namespace != namespace {
		return nil, fmt.Errorf("reading a signature: it was made for %q, and not for %q", e.Namespace, namespace)
	}
	var digest []byte
	switch e.Hash {
	case "sha512":
		sum := sha512.Sum512(message)
		digest = sum[:]
	case "sha256":
		sum := sha256.Sum256(message)
		digest = sum[:]
	default:
		return nil, fmt.Errorf("reading a signature: the hash %q is unknown", e.Hash)
	}
	key, err := ssh.ParsePublicKey(e.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("reading a signature: its key: %w", err)
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(e.Signature, &signature); err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	if signature.Format == ssh.KeyAlgoRSA {
		return nil, errors.New("reading a signature: it rests on SHA-1")
	}
	if err := key.Verify(toSign(namespace, e.Hash, digest), &signature); err != nil {
		return nil, ErrNotSigned
	}
	return key, nil
}

func armor(blob []byte) []byte {
	var b bytes.Buffer
	b.WriteString(begin + "\n")
	for text := base64.StdEncoding.EncodeToString(blob); text != ""; {
		n := min(len(text), columns)
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(end + "\n")
	return b.Bytes()
}

func unarmor(armored []byte) ([]byte, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(string(armored)), begin)
	if !ok {
		return nil, errors.New("reading a signature: it does not begin as one")
	}
	text, ok = strings.CutSuffix(text, end)
	if !ok {
		return nil, errors.New("reading a signature: it is cut")
	}
	blob, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	return blob, nil
}
