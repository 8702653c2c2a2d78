package main

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"scaleproof/examples"
	"scaleproof/reports"
)

// Help and docs sign the demo's report for an item, which only one name may.
func TestTheDemoCanBeSignedAsTheDocsSay(t *testing.T) {
	demo, err := examples.Files.ReadFile("demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/verdicts.md")
	if err != nil {
		t.Fatal(err)
	}
	signed := regexp.MustCompile(`id: documentation, evidence: \{signed: ([^}]*)\}`).FindSubmatch(demo)
	if signed == nil {
		t.Fatal("the demo's plan leaves nothing to sign for")
	}
	command := "scaleproof sign scaleproof-demo --key ~/.ssh/id_ed25519 --as " + string(signed[1]) + " --item documentation"
	if help := runCommand(t, nil, "sign", "--help").out; !strings.Contains(help, command) || !strings.Contains(string(docs), command) {
		t.Errorf("neither help nor docs may say anything but: %s", command)
	}
}

// writeKey makes a private key's file, and the line of a list of signers.
func writeKey(t *testing.T, name, passphrase string) (path, line string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "key", string(pem.EncodeToMemory(block))), name + " " + string(ssh.MarshalAuthorizedKey(key))
}

// offeredBy unpacks what a page offers for download.
func offeredBy(t *testing.T, page []byte) []byte {
	t.Helper()
	m := regexp.MustCompile(`<script id="raw" type="text/plain">([^<]*)</script>`).FindSubmatch(page)
	if m == nil {
		t.Fatal("the page offers nothing")
	}
	zipped, err := gzip.NewReader(base64.NewDecoder(base64.RawURLEncoding, bytes.NewReader(m[1])))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(zipped)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSignAndVerifyByTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	if err := reports.WriteAll(dir, &reports.Report{SchemaVersion: reports.SchemaVersion, ID: "run-1", Checklist: []reports.ChecklistItem{
		{ID: "documentation", Text: "Documentation updated", State: reports.ItemUnknown, Evidence: "no evidence was given"},
	}}); err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, nil, "verify", dir); got.code != 3 || !strings.Contains(got.out, "no signature") {
		t.Errorf("unsigned: %+v", got)
	}
	key, jane := writeKey(t, "jane", "correct horse")
	if got := runCommand(t, nil, "sign", dir, "--key", key, "--as", "jane"); got.code != 2 || !strings.Contains(got.err, passphraseVariable) {
		t.Errorf("no passphrase: %+v", got)
	}
	environment := map[string]string{passphraseVariable: "correct horse"}
	if got := runCommand(t, environment, "sign", dir, "--key", key, "--as", "jane", "--item", "documentation"); got.code != 0 || !strings.Contains(got.err, "Signed as jane") {
		t.Fatalf("%+v", got)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || !strings.Contains(string(page), "signed by jane") {
		t.Errorf("the page was not written anew: %v", err)
	}
	_, joe := writeKey(t, "joe", "")
	for name, c := range map[string]struct {
		signers string
		code    int
	}{"hers": {jane, 0}, "another's": {joe, 1}, "no list": {"jane nothing\n", 2}} {
		if got := runCommand(t, nil, "verify", dir, "--signers", writeFile(t, "allowed", c.signers)); got.code != c.code {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := runCommand(t, nil, "report", dir, "--format", "md"); got.code != 0 || !strings.Contains(got.out, "- [x] Documentation updated: signed by jane") {
		t.Errorf("%+v", got)
	}
	// What is signed is what can be had, byte by byte.
	signed, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, nil, "report", dir, "--format", "json"); got.out != string(signed) {
		t.Errorf("report --format json is not what was signed:\n%s", got.out)
	}
	if offered := offeredBy(t, page); !bytes.Equal(offered, signed) {
		t.Errorf("the page offers what was not signed:\n%s", offered)
	}
	// A folder that does not take the signature is no fault of the command line.
	if err := os.RemoveAll(filepath.Join(dir, "signatures")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "signatures"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, environment, "sign", dir, "--key", key, "--as", "jane"); got.code != 4 || !strings.Contains(got.err, "could not be written") {
		t.Errorf("signatures that are a file: %+v", got)
	}
	if err := os.Remove(filepath.Join(dir, "signatures")); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no key": {"sign", dir, "--as", "x"}, "no name": {"sign", dir, "--key", key}, "no such key": {"sign", dir, "--key", dir + "/none", "--as", "x"}, "no report": {"sign", t.TempDir(), "--key", key, "--as", "x"},
	} {
		if got := runCommand(t, environment, args...); got.code != 2 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
