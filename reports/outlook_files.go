package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"scaleproof/internal/snapshot"
)

// WriteOutlookFiles writes an outlook as a page, Markdown and JSON into a folder,
// which it makes, with the plans that it recommends. Each file is written whole
// or not at all; plans of earlier nights stay.
func WriteOutlookFiles(dir string, o *Outlook) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the outlook: %w", err)
	}
	files := map[string]func(io.Writer) error{
		"capacity.html": func(w io.Writer) error { return WriteOutlookHTML(w, o) },
		"capacity.md":   func(w io.Writer) error { return WriteOutlookMarkdown(w, o) },
		"capacity.json": func(w io.Writer) error {
			encoder := json.NewEncoder(w)
			encoder.SetIndent("", " ")
			return encoder.Encode(o)
		},
	}
	for _, r := range o.Recommendations {
		if r.Plan != "" {
			files[r.File] = func(w io.Writer) error { _, err := io.WriteString(w, r.Plan); return err }
		}
	}
	for name, write := range files {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return fmt.Errorf("writing the outlook: %w", err)
		}
		if err := snapshot.WriteFileAtomically(filepath.Join(dir, name), b.Bytes()); err != nil {
			return fmt.Errorf("writing the outlook: %w", err)
		}
	}
	return nil
}
