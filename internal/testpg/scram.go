package testpg

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// scramIterations is how often a password is hashed at each connection. More slow down
// who guesses a password that a person has chosen; those of this package are random.
// The server's own choice, 4,096, would be the larger part of what a short-lived
// connection costs under the race detector.
const scramIterations = 1

// hashOnce has the server keep another hash of the password. initdb takes none: before
// 14 it cuts what is so long.
func (s *Server) hashOnce(ctx context.Context) error {
	secret, err := scramSecret(s.password)
	if err != nil {
		return err
	}
	return s.Execute(ctx, "postgres", fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", superuser, secret))
}

// scramSecret returns what the server keeps of a password, which takes it in the
// place of the password itself (RFC 5803).
func scramSecret(password string) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	key := func(name string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(name))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(key("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(stored[:]), encode(key("Server Key"))), nil
}
