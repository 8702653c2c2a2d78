package capacity

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// ReadSeriesCSV reads a series with the columns time and value, in this or the
// other order. A time is RFC 3339 ("2024-05-01T02:00:00Z"), a date, or Unix time
// in seconds (above 1e11: in milliseconds). An empty value and NaN are NaN: a
// point that Project leaves out. The series has no name and no unit yet.
func ReadSeriesCSV(r io.Reader) (Series, error) {
	var s Series
	err := readTable(r, []string{"time", "value"}, nil, func(row map[string]string) error {
		when, err := parseTime(row["time"])
		if err != nil {
			return err
		}
		value, err := parseNumber("value", row["value"])
		if err != nil {
			return err
		}
		s.Times, s.Values = append(s.Times, when), append(s.Values, value)
		return nil
	})
	if err != nil {
		return Series{}, fmt.Errorf("reading a series: %w", err)
	}
	return s, nil
}

// readTable reads CSV whose header has all of the required columns and may have
// the optional ones, and hands each row over by column. An error names its line.
func readTable(r io.Reader, required, optional []string, take func(row map[string]string) error) error {
	reader := csv.NewReader(r)
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the CSV is empty: its first line must be %s", strings.Join(required, ","))
	}
	if err != nil {
		return fmt.Errorf("the CSV header: %w", err)
	}
	columns, err := tableColumns(header, required, optional)
	if err != nil {
		return err
	}
	row := map[string]string{}
	rows := 0
	for ; ; rows++ {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the CSV: %w", err)
		}
		for i, name := range columns {
			row[name] = strings.TrimSpace(fields[i])
		}
		if err := take(row); err != nil {
			line, _ := reader.FieldPos(0)
			return fmt.Errorf("CSV line %d: %w", line, err)
		}
	}
	if rows == 0 {
		return errors.New("the CSV has a header and no rows")
	}
	return nil
}

// tableColumns returns the name of each column.
func tableColumns(header, required, optional []string) ([]string, error) {
	names := make([]string, len(header))
	seen := map[string]bool{}
	for i, field := range header {
		name := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(field, "\ufeff")))
		known := false
		for _, allowed := range append(append([]string{}, required...), optional...) {
			known = known || name == allowed
		}
		if !known || seen[name] {
			return nil, fmt.Errorf("CSV column %q is unknown or there twice: the first line must be %s", field, tableForm(required, optional))
		}
		names[i], seen[name] = name, true
	}
	for _, name := range required {
		if !seen[name] {
			return nil, fmt.Errorf("the CSV has no column %q: the first line must be %s", name, tableForm(required, optional))
		}
	}
	return names, nil
}

func tableForm(required, optional []string) string {
	form := strings.Join(required, ",")
	for _, name := range optional {
		form += "[," + name + "]"
	}
	return form
}

// parseTime reads a time in one of the forms that ReadSeriesCSV tells.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	unix, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(unix) || math.Abs(unix) > 1e15 {
		return time.Time{}, fmt.Errorf("%q is no time: write RFC 3339, a date, or Unix seconds", text)
	}
	if math.Abs(unix) > 1e11 {
		unix /= 1e3
	}
	whole, part := math.Modf(unix)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
}

// parseNumber reads a finite number, or NaN for one that is missing.
func parseNumber(column, text string) (float64, error) {
	if text == "" || strings.EqualFold(text, "nan") || strings.EqualFold(text, "null") {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s %q is not a finite number", column, text)
	}
	return v, nil
}
