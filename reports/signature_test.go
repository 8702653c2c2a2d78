package reports

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"scaleproof/internal/sshsig"
)

func newSigner(t *testing.T, seed byte) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// unsigned is the folder of a report with an item of each kind.
func unsigned(t *testing.T) string {
	t.Helper()
	r := fixture(t)
	r.Checklist = []ChecklistItem{
		{ID: "objectives", Text: "met", State: ItemFailed, Known: Measured, Evidence: "1 of 3 objectives failed"},
		{ID: "documentation", Text: "updated", State: ItemUnknown, Evidence: "no evidence was given"},
		{ID: "team", Text: "notified", State: ItemUnknown, Signer: "Joe", Evidence: "to be signed by Joe"},
	}
	dir := t.TempDir()
	if err := WriteAll(dir, r); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSignAReport(t *testing.T) {
	dir, jane, joe := unsigned(t), newSigner(t, 'a'), newSigner(t, 'b')
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		items []string
		says  string
	}{
		"what failed":     {[]string{"objectives"}, "can't be signed for"},
		"another's":       {[]string{"team"}, "to be signed by Joe"},
		"what is not one": {[]string{"coffee"}, "no item \"coffee\"; it has objectives, documentation, team"},
	} {
		if _, err := Sign(dir, jane, Statement{Name: "Jane", At: at, Items: c.items}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s is signed: %v", name, err)
		}
	}
	if _, err := Sign(dir, jane, Statement{Name: "Jane", At: at, Items: []string{"documentation"}, Note: "read it"}); err != nil {
		t.Fatal(err)
	}
	r, err := Sign(dir, joe, Statement{Name: "Joe", At: at.Add(time.Hour), Items: []string{"team"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Signatures) != 2 || r.Signatures[0].Problem != "" || r.Signatures[0].Name != "Jane" || r.Signatures[1].Verdict != Fail {
		t.Fatalf("%+v", r.Signatures)
	}
	for _, item := range r.Checklist[1:] {
		if item.State != ItemDone || item.Known != Signed || !strings.Contains(item.Evidence, "SHA256:") {
			t.Errorf("%+v", item)
		}
	}
	signers, err := sshsig.ReadSigners(strings.NewReader("Jane " + string(ssh.MarshalAuthorizedKey(jane.PublicKey())) + "Joe " + string(ssh.MarshalAuthorizedKey(jane.PublicKey()))))
	if err != nil {
		t.Fatal(err)
	}
	r.CheckSigners(signers)
	if r.Signatures[0].Problem != "" || !strings.Contains(r.Signatures[1].Problem, "not one of Joe") {
		t.Errorf("%+v", r.Signatures)
	}
	html := string(written(t, WriteHTML, r))
	if !strings.Contains(html, "Jane, 2 March 2026, 08:00 UTC") || !strings.Contains(html, "invalid") {
		t.Error("the page does not show the signatures")
	}
}

// A report that was changed after it was signed, and a statement that was, or that
// has lost its signature, count for nothing.
func TestTamperingIsSeen(t *testing.T) {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		file   string // pattern
		change func(string) string
		says   string
	}{
		"the report":    {"report.json", func(text string) string { return strings.Replace(text, `"fail"`, `"pass"`, 1) }, "changed since"},
		"the statement": {"signatures/*.json", func(text string) string { return strings.Replace(text, "Jane", "Joan", 1) }, "not one of this text"},
		"the signature": {"signatures/*.sig", func(text string) string { return text[:len(text)/2] }, "cut"},
		"no signature":  {"signatures/*.sig", nil, "has no signature"},
	} {
		dir := unsigned(t)
		if _, err := Sign(dir, newSigner(t, 'a'), Statement{Name: "Jane", At: at, Items: []string{"documentation"}}); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, c.file))
		if err != nil || len(files) != 1 {
			t.Fatal(name, files, err)
		}
		if c.change == nil {
			err = os.Remove(files[0])
		} else {
			text, readErr := os.ReadFile(files[0])
			if readErr != nil {
				t.Fatal(readErr)
			}
			err = os.WriteFile(files[0], []byte(c.change(string(text))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := ReadSigned(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Signatures) != 1 || !strings.Contains(r.Signatures[0].Problem, c.says) || r.Checklist[1].State != ItemUnknown {
			t.Errorf("%s changed: %+v, %+v", name, r.Signatures, r.Checklist[1])
		}
	}
}

// A statement of another verdict than the report's is not one of the report, whoever
// has signed it: it would be told as "the report, with the verdict pass".
func TestAStatementOfAnotherVerdict(t *testing.T) {
	dir, jane := unsigned(t), newSigner(t, 'a')
	_, sum, err := readSigned(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(Statement{SchemaVersion: SchemaVersion, ReportSHA256: sum, Verdict: Pass, Name: "Jane"})
	if err != nil {
		t.Fatal(err)
	}
	signature, err := sshsig.Sign(jane, SignatureNamespace, text)
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, signatureFolder, "jane.json")
	if err := errors.Join(os.Mkdir(filepath.Dir(base), 0o750), os.WriteFile(base, text, 0o600), os.WriteFile(base+".sig", signature, 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err := ReadSigned(dir)
	if err != nil || len(r.Signatures) != 1 || !strings.Contains(r.Signatures[0].Problem, "the verdict pass, and that of the report is fail") {
		t.Errorf("%+v, %v", r.Signatures, err)
	}
}
