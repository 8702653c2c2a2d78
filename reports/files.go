package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"scaleproof/internal/snapshot"
)

// WriteAll writes a report in every format, and its snapshots, into a folder,
// which it makes. Each file is written whole or not at all. Where the folder
// can't take them, they are kept in a temporary folder that the error names.
func WriteAll(dir string, r *Report) error {
	err := writeAll(dir, r)
	if err == nil {
		return nil
	}
	kept, keptErr := os.MkdirTemp("", "scaleproof-report-")
	if keptErr == nil {
		keptErr = writeAll(kept, r)
	}
	if keptErr != nil {
		return fmt.Errorf("writing the report: %w", errors.Join(err, keptErr))
	}
	return fmt.Errorf("writing the report: %w (it was kept in %s)", err, kept)
}

func writeAll(dir string, r *Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer, *Report) error
	}{
		// What can't be measured again comes first.
		{"report.json", WriteJSON},
		{"report.html", WriteHTML},
		{"report.md", WriteMarkdown},
		{"junit.xml", WriteJUnit},
	} {
		var b bytes.Buffer
		if err := file.write(&b, r); err != nil {
			return err
		}
		if err := snapshot.WriteFileAtomically(filepath.Join(dir, file.name), b.Bytes()); err != nil {
			return err
		}
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
