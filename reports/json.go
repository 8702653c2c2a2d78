package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WriteJSON writes the whole report, report.json: where it was read from a file, that
// file byte by byte, since signatures are of its bytes.
func WriteJSON(w io.Writer, r *Report) error {
	if r.file != nil {
		if _, err := w.Write(r.file); err != nil {
			return fmt.Errorf("writing the report as JSON: %w", err)
		}
		return nil
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the report as JSON: %w", err)
	}
	return nil
}

// reportLimit bounds what ReadJSON takes.
const reportLimit = 1 << 30

// ReadJSON reads what WriteJSON has written, and refuses another version of it.
func ReadJSON(r io.Reader) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(r, reportLimit))
	if err != nil {
		return nil, err
	}
	var version struct {
		SchemaVersion *int `json:"schema_version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, err
	}
	switch {
	case version.SchemaVersion == nil:
		return nil, errors.New("field schema_version is missing: this is not a report of scaleproof")
	case *version.SchemaVersion != SchemaVersion:
		return nil, fmt.Errorf("field schema_version is %d, and this scaleproof reads version %d", *version.SchemaVersion, SchemaVersion)
	}
	var report Report
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&report); err != nil {
		return nil, err
	}
	report.file = data
	return &report, nil
}
