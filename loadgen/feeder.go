package loadgen

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
)

// A feeder holds the rows that placeholders take: request k has row k modulo
// their number, so that no row comes twice before all came once.
type feeder struct {
	columns []string
	rows    [][]string
}

// readFeeder reads a CSV file whose first line names its columns. No path is
// no feeder.
func readFeeder(cfg *Config) (*feeder, error) {
	path := cfg.Feeder
	if path == "" {
		return &feeder{}, nil
	}
	data, err := cfg.readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the feeder: %w", err)
	}
	f, err := parseFeeder(data)
	if err != nil {
		return nil, fmt.Errorf("reading the feeder %s: %w", path, err)
	}
	return f, nil
}

func parseFeeder(data []byte) (*feeder, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	records, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) < 2 {
		return nil, errors.New("it has no row below the line that names its columns")
	}
	return &feeder{columns: records[0], rows: records[1:]}, nil
}

func (f *feeder) row(k int64) []string {
	if len(f.rows) == 0 {
		return nil
	}
	return f.rows[k%int64(len(f.rows))]
}
