package snapshot

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"scaleproof/internal/unit"
)

// ReadCSV reads a table with the columns metric and value, and optionally unit
// (a base unit, or one that values are written in, such as ms) and better
// (lower, higher or neutral), one row a trial, as any tool can write it. Without
// a unit a value is a count; without a direction lower is better.
func ReadCSV(r io.Reader) (*Snapshot, error) {
	reader := csv.NewReader(r)
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the CSV header: %w", err)
	}
	columns, err := csvColumns(header)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{SchemaVersion: SchemaVersion}
	index := map[string]int{}
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading CSV: %w", err)
		}
		line, _ := reader.FieldPos(0)
		m, err := csvMetric(columns, row)
		if err != nil {
			return nil, fmt.Errorf("CSV line %d: %w", line, err)
		}
		at, ok := index[m.Name]
		if !ok {
			at = len(s.Metrics)
			index[m.Name] = at
			s.Metrics = append(s.Metrics, Metric{Name: m.Name, Unit: m.Unit, Better: m.Better})
		}
		known := &s.Metrics[at]
		if known.Unit != m.Unit || known.Better != m.Better {
			return nil, fmt.Errorf("CSV line %d: metric %s changes its unit or direction", line, m.Name)
		}
		known.Values = append(known.Values, m.Values...)
		s.Trials = max(s.Trials, len(known.Values))
	}
	if len(s.Metrics) == 0 {
		return nil, errors.New("the CSV has a header and no rows")
	}
	for i := range s.Metrics {
		s.Metrics[i].pad(s.Trials)
	}
	return s, nil
}

func csvColumns(header []string) (map[string]int, error) {
	columns := map[string]int{}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		switch name {
		case "metric", "value", "unit", "better":
			columns[name] = i
		default:
			return nil, fmt.Errorf("CSV column %q is unknown: the columns are metric,value[,unit,better]", name)
		}
	}
	for _, name := range []string{"metric", "value"} {
		if _, ok := columns[name]; !ok {
			return nil, fmt.Errorf("the CSV has no column %q: its first line must be metric,value[,unit,better]", name)
		}
	}
	return columns, nil
}

func csvMetric(columns map[string]int, row []string) (Metric, error) {
	field := func(name string) string {
		if i, ok := columns[name]; ok {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	m := Metric{Name: field("metric"), Unit: unit.Count, Better: Lower}
	if m.Name == "" {
		return m, errors.New("the metric has no name")
	}
	value, err := strconv.ParseFloat(field("value"), 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return m, fmt.Errorf("field value of %s is %q, not a finite number", m.Name, field("value"))
	}
	if text := field("unit"); text != "" {
		m.Unit = unit.Base(text)
		if !m.Unit.Known() {
			factor, base, err := unit.Parse("1 " + text) // apart, so that no digit of the unit is one of the number
			if err != nil {
				return m, fmt.Errorf("field unit of %s is %q, which is no known unit", m.Name, text)
			}
			if value, m.Unit = value*factor, base; math.IsInf(value, 0) {
				return m, fmt.Errorf("field value of %s is %q %s, which is infinite", m.Name, field("value"), text)
			}
		}
	}
	if text := field("better"); text != "" {
		m.Better = Direction(strings.ToLower(text))
		if m.Better != Lower && m.Better != Higher && m.Better != Neutral {
			return m, fmt.Errorf("field better of %s is %q, not lower, higher or neutral", m.Name, text)
		}
	}
	m.Values = Values{value}
	return m, nil
}
