package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WriteJSON writes the whole report, report.json.
func WriteJSON(w io.Writer, r *Report) error {
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
	return &report, nil
}
