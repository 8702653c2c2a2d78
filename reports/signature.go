package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/sshsig"
)

// SignatureNamespace keeps signatures of reports apart from others by the same
// keys. It is what ssh-keygen -Y verify takes by -n.
const SignatureNamespace = "scaleproof"

// signatureFolder is where a report's folder has its signatures: for each a
// statement, and its signature beside it.
const signatureFolder = "signatures"

// A Statement is what someone signs: a report, as it is, and items of its
// definition of done that they answer for.
type Statement struct {
	SchemaVersion int       `json:"schema_version"`
	Report        string    `json:"report"`        // the ID of the run
	ReportSHA256  string    `json:"report_sha256"` // of report.json
	Verdict       Word      `json:"verdict"`
	Name          string    `json:"name"`
	At            time.Time `json:"at"`
	Items         []string  `json:"items,omitempty"` // of the checklist, by id
	Note          string    `json:"note,omitempty"`
}

// ErrUnwritten is that a signature was made and could not be kept.
var ErrUnwritten = errors.New("the signature could not be written")

// A Signature is a statement with the key that signed it.
type Signature struct {
	Statement
	Fingerprint string // of the key, SHA256:...
	// Problem says why the signature counts for nothing, or is empty.
	Problem string
	key     ssh.PublicKey
}

// Sign signs the report in a folder, adds the signature to it, and returns the
// report with all signatures. Items that failed can't be signed for, and of those
// that wait for someone only those of that name. ErrUnwritten is that the folder did
// not take it.
func Sign(dir string, signer ssh.Signer, s Statement) (*Report, error) {
	r, sum, err := readSigned(dir)
	if err != nil {
		return nil, err
	}
	for _, id := range s.Items {
		if err := r.mayBeSigned(id, s.Name); err != nil {
			return nil, err
		}
	}
	s.SchemaVersion, s.Report, s.ReportSHA256, s.Verdict = SchemaVersion, r.ID, sum, r.Verdict.Word
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encoding the statement: %w", err)
	}
	text = append(text, '\n')
	signature, err := sshsig.Sign(signer, SignatureNamespace, text)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, signatureFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnwritten, err)
	}
	base := filepath.Join(folder, s.At.UTC().Format("20060102T150405.000Z")+"-"+slug(s.Name)+".json")
	// A statement without its signature counts for nothing: the signature last.
	err = snapshot.WriteFileAtomically(base, text)
	if err == nil {
		err = snapshot.WriteFileAtomically(base+".sig", signature)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnwritten, err)
	}
	return ReadSigned(dir)
}

// mayBeSigned says why someone can't sign for an item.
func (r *Report) mayBeSigned(id, name string) error {
	for _, item := range r.Checklist {
		switch {
		case item.ID != id:
		case item.State == ItemFailed:
			return fmt.Errorf("the item %s failed (%s): it can't be signed for", id, item.Evidence)
		case item.Signer != "" && item.Signer != name:
			return fmt.Errorf("the item %s is to be signed by %s, and not by %s", id, item.Signer, name)
		default:
			return nil
		}
	}
	var ids []string
	for _, item := range r.Checklist {
		ids = append(ids, item.ID)
	}
	return fmt.Errorf("the report has no item %q; it has %s", id, strings.Join(ids, ", "))
}

// readSigned reads the report of a folder, and the hash of its file.
func readSigned(dir string) (*Report, string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		return nil, "", fmt.Errorf("reading a report: %w", err)
	}
	r, err := ReadJSON(strings.NewReader(string(data)))
	if err != nil {
		return nil, "", fmt.Errorf("reading a report: %w", err)
	}
	sum := sha256.Sum256(data)
	return r, hex.EncodeToString(sum[:]), nil
}

// ReadSigned reads the report of a folder with its signatures: items that someone
// has signed for are done. A signature that is not one of this report is kept with
// its problem, and counts for nothing.
func ReadSigned(dir string) (*Report, error) {
	r, sum, err := readSigned(dir)
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(filepath.Join(dir, signatureFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the signatures: %w", err)
	}
	for _, file := range files {
		if filepath.Ext(file.Name()) == ".json" && !strings.HasPrefix(file.Name(), ".") {
			r.Signatures = append(r.Signatures, r.readSignature(filepath.Join(dir, signatureFolder, file.Name()), sum))
		}
	}
	r.applySignatures()
	return r, nil
}

// readSignature reads a statement and the signature beside it, and holds them against
// the report and its hash.
func (r *Report) readSignature(path, sum string) Signature {
	s := Signature{Statement: Statement{Name: filepath.Base(path)}}
	text, err := os.ReadFile(path)
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	armored, err := os.ReadFile(path + ".sig")
	if err != nil {
		s.Problem = "it has no signature: " + err.Error()
		return s
	}
	if s.key, err = sshsig.Verify(armored, SignatureNamespace, text); err != nil {
		s.Problem = err.Error()
		return s
	}
	s.Fingerprint = ssh.FingerprintSHA256(s.key)
	if err := json.Unmarshal(text, &s.Statement); err != nil {
		s.Problem = "its statement can't be read: " + err.Error()
	} else if s.ReportSHA256 != sum {
		s.Problem = "the report has been changed since, or is another one"
	} else if s.Verdict != r.Verdict.Word {
		s.Problem = fmt.Sprintf("it states the verdict %s, and that of the report is %s", s.Verdict, r.Verdict.Word)
	}
	return s
}

// applySignatures marks the items that someone has signed for.
func (r *Report) applySignatures() {
	for i := range r.Checklist {
		item := &r.Checklist[i]
		for _, s := range r.Signatures {
			if s.Problem == "" && item.State == ItemUnknown && slices.Contains(s.Items, item.ID) && r.mayBeSigned(item.ID, s.Name) == nil {
				item.State, item.Known = ItemDone, Signed
				item.Evidence = fmt.Sprintf("signed by %s at %s, key %s", s.Name, s.At.UTC().Format(time.RFC3339), s.Fingerprint)
			}
		}
	}
}

// CheckSigners gives each signature whose key is not one of its name's a problem.
func (r *Report) CheckSigners(signers *sshsig.Signers) {
	for i := range r.Signatures {
		s := &r.Signatures[i]
		if s.Problem == "" && !signers.Allows(s.Name, SignatureNamespace, s.key) {
			s.Problem = "the key is not one of " + s.Name + " in the list of signers"
		}
	}
}

// What says in words what was signed.
func (s Signature) What() string {
	text := fmt.Sprintf("the report, with the verdict %s", s.Verdict)
	if len(s.Items) > 0 {
		text += ", and for " + strings.Join(s.Items, ", ")
	}
	if s.Note != "" {
		text += ": " + s.Note
	}
	return text
}

// slug makes a name fit for a file.
func slug(name string) string {
	text := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if text == "" {
		return "signer"
	}
	return text[:min(len(text), 60)]
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)
