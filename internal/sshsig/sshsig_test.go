package sshsig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func signers(t testing.TB) map[string]ssh.Signer {
	t.Helper()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	factors, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]ssh.Signer{}
	for name, key := range map[string]any{"ed25519": edwards, "ecdsa": curve, "rsa": factors} {
		s, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = s
	}
	return all
}

func TestSignAndVerify(t *testing.T) {
	message := []byte("what is signed\n")
	for name, signer := range signers(t) {
		signature, err := Sign(signer, "scaleproof", message)
		if err != nil {
			t.Fatal(name, err)
		}
		key, err := Verify(signature, "scaleproof", message)
		if err != nil || !bytes.Equal(key.Marshal(), signer.PublicKey().Marshal()) {
			t.Errorf("%s: %v, %v", name, key, err)
		}
		if _, err := Verify(signature, "scaleproof", []byte("What is signed\n")); !errors.Is(err, ErrNotSigned) {
			t.Errorf("%s: another text: %v", name, err)
		}
		if _, err := Verify(signature, "git", message); err == nil {
			t.Errorf("%s: another namespace passes", name)
		}
		if _, err := Verify(signature[:len(signature)/2], "scaleproof", message); err == nil {
			t.Errorf("%s: half a signature passes", name)
		}
	}
}

// Each reads what the other has signed.
func TestOpenSSHAgrees(t *testing.T) {
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	message := []byte("what is signed\n")
	for name, signer := range signers(t) {
		dir := t.TempDir()
		signature, err := Sign(signer, "scaleproof", message)
		if err != nil {
			t.Fatal(err)
		}
		allowed := "jane@example.com namespaces=\"scaleproof\" " + string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
		for file, data := range map[string][]byte{"sig": signature, "allowed": []byte(allowed)} {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(program, "-Y", "verify", "-f", filepath.Join(dir, "allowed"), "-I", "jane@example.com", "-n", "scaleproof", "-s", filepath.Join(dir, "sig"))
		cmd.Stdin = bytes.NewReader(message)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: ssh-keygen refuses: %v\n%s", name, err, out)
		}
	}
	dir := t.TempDir()
	key, text := filepath.Join(dir, "key"), filepath.Join(dir, "text")
	if err := os.WriteFile(text, message, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-q", "-t", "ed25519", "-N", "", "-f", key}, {"-q", "-Y", "sign", "-f", key, "-n", "scaleproof", text}} {
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	signature, err := os.ReadFile(text + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(signature, "scaleproof", message); err != nil {
		t.Errorf("what ssh-keygen has signed: %v", err)
	}
}

func TestSigners(t *testing.T) {
	all := signers(t)
	line := func(names, options, key string) string {
		return strings.TrimSpace(names+" "+options) + " " + string(ssh.MarshalAuthorizedKey(all[key].PublicKey()))
	}
	s, err := ReadSigners(strings.NewReader("# who may sign\n\n" + line("jane,*@example.com,!eve@example.com", "", "ed25519") + line("ops", `namespaces="git"`, "rsa")))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		who, key string
		want     bool
	}{
		"by name": {"jane", "ed25519", true}, "by pattern": {"joe@example.com", "ed25519", true}, "excluded": {"eve@example.com", "ed25519", false},
		"another's key": {"jane", "rsa", false}, "another namespace": {"ops", "rsa", false}, "unknown": {"joe", "ed25519", false}, "no one": {"", "ecdsa", false},
	} {
		if got := s.Allows(c.who, "scaleproof", all[c.key].PublicKey()); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, bad := range []string{"jane\n", "jane ssh-ed25519 AAAA\n", line("ca", "cert-authority", "rsa")} {
		if _, err := ReadSigners(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// The answers are those of ssh-keygen -Y verify.
func TestPatternsOfSigners(t *testing.T) {
	for _, c := range []struct {
		patterns, name string
		want           bool
	}{
		{"*", "dc1/jane", true},
		{"a?b", "a/b", true},
		{"team/*,!*eve", "team/eve", false},
		{"!*@evil,team/*", "team/x@evil", false},
		{"jane[1]", "jane1", false},
		{"jane[1]", "jane[1]", true},
		{"*ne@*.com", "jane@example.com", true},
		{"*ne@*.com", "jane@example.org", false},
		{"jane?", "jane", false},
	} {
		if got := matches(strings.Split(c.patterns, ","), c.name); got != c.want {
			t.Errorf("%s: %s is %v", c.patterns, c.name, got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	signature, err := Sign(signers(f)["ed25519"], "scaleproof", []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signature, []byte("x"))
	f.Add([]byte(begin+"\nU1NIU0lH\n"+end), []byte(""))
	f.Fuzz(func(t *testing.T, signature, message []byte) {
		key, err := Verify(signature, "scaleproof", message)
		if (key == nil) == (err == nil) {
			t.Errorf("%v, %v", key, err)
		}
		if err == nil && string(message) != "x" {
			t.Errorf("a signature of %q", message)
		}
	})
}
