package reports

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"scaleproof/internal/snapshot"
)

// WriteAll writes a report in every format, and its snapshots, into a folder,
// which it makes. Each file is written whole or not at all. Where the folder
// can't take them, they are kept in another that the error names.
func WriteAll(dir string, r *Report) error {
	if err := writeAll(dir, r); err != nil {
		return snapshot.Elsewhere(fmt.Errorf("writing the report: %w", err), func(kept string) error { return writeAll(kept, r) })
	}
	return nil
}

func writeAll(dir string, r *Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// What can't be measured again comes first.
	if err := writeForm(filepath.Join(dir, "report.json"), r, WriteJSON); err != nil {
		return err
	}
	if err := WriteForms(dir, r); err != nil {
		return err
	}
	for name, s := range map[string]*snapshot.Snapshot{"before.json": r.Before, "after.json": r.After} {
		if s == nil {
			continue
		}
		if err := snapshot.WriteFile(filepath.Join(dir, name), s); err != nil {
			return err
		}
	}
	return nil
}

// WriteForms writes the forms of a report that are made from report.json.
func WriteForms(dir string, r *Report) error {
	for _, form := range []struct {
		name  string
		write func(io.Writer, *Report) error
	}{
		{"report.html", WriteHTML},
		{"report.md", WriteMarkdown},
		{"junit.xml", WriteJUnit},
		{"metrics.txt", WriteOpenMetrics},
	} {
		if err := writeForm(filepath.Join(dir, form.name), r, form.write); err != nil {
			return err
		}
	}
	return nil
}

func writeForm(path string, r *Report, write func(io.Writer, *Report) error) error {
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		return err
	}
	return snapshot.WriteFileAtomically(path, b.Bytes())
}
