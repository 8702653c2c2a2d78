package dbbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5"

	"scaleproof/internal/invalid"
)

// A suiteFile is the YAML form of a suite.
type suiteFile struct {
	Queries []Query `yaml:"queries"`
}

// LoadSuite reads a suite of queries: a YAML file with the key queries, or an
// .sql file in which a comment "-- name: NAME" stands before each statement.
// Faults name the file and the line.
func LoadSuite(path string) ([]Query, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the suite: %w", err)
	}
	if strings.HasSuffix(path, ".sql") {
		queries, err := parseSQL(string(data))
		if err != nil {
			return nil, fmt.Errorf("reading the suite %s: %w", path, err)
		}
		return queries, nil
	}
	var suite suiteFile
	if err := yaml.UnmarshalWithOptions(data, &suite, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("reading the suite %s: %w", path, err)
	}
	if err := validateQueries(suite.Queries); err != nil {
		return nil, fmt.Errorf("reading the suite %s: %w", path, err)
	}
	return suite.Queries, nil
}

var namedComment = regexp.MustCompile(`^\s*--\s*name:\s*(\S+)\s*$`)

// parseSQL splits a file at its named comments. What stands before the first is
// refused unless it is blank or a comment.
func parseSQL(text string) ([]Query, error) {
	var queries []Query
	for i, line := range strings.Split(text, "\n") {
		if match := namedComment.FindStringSubmatch(line); match != nil {
			queries = append(queries, Query{Name: match[1]})
			continue
		}
		blank := strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "--")
		switch {
		case len(queries) == 0 && !blank:
			return nil, fmt.Errorf("line %d: a statement needs a comment before it: -- name: NAME", i+1)
		case len(queries) > 0:
			queries[len(queries)-1].SQL += line + "\n"
		}
	}
	for i := range queries {
		queries[i].SQL = strings.TrimSuffix(strings.TrimSpace(queries[i].SQL), ";")
	}
	return queries, validateQueries(queries)
}

// queryName is the form of names that become parts of metric names.
var queryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

func validateQueries(queries []Query) error {
	var faults []error
	seen := map[string]bool{}
	for i, q := range queries {
		at := fmt.Sprintf("queries[%d]", i)
		switch {
		case !queryName.MatchString(q.Name):
			faults = append(faults, invalid.Field(at+".name", "must be letters, digits, - and _, and is %q", q.Name))
		case seen[q.Name]:
			faults = append(faults, invalid.Field(at+".name", "%q stands twice", q.Name))
		case strings.TrimSpace(q.SQL) == "":
			faults = append(faults, invalid.Field(at, "%s has no sql", q.Name))
		case len(q.Args) > 0 && q.ArgsFrom != "":
			faults = append(faults, invalid.Field(at+".args_from", "stands beside args: give one of them"))
		}
		seen[q.Name] = true
	}
	return errors.Join(faults...)
}

// Validate returns the faults of the configuration as joined
// *invalid.FieldErrors.
func (c Config) Validate() error {
	faults := []error{validateQueries(c.Queries)}
	if c.Suite == "" && len(c.Queries) == 0 {
		faults = append(faults, invalid.Field("queries", "are missing: give queries, or a suite"))
	}
	if c.Repetitions < 0 {
		faults = append(faults, invalid.Field("repetitions", "is negative"))
	}
	if c.Warmup < 0 {
		faults = append(faults, invalid.Field("warmup", "is negative"))
	}
	if c.Statistics != "" && c.Statistics != "all" && c.Statistics != "none" {
		faults = append(faults, invalid.Field("statistics", "must be all or none, and is %q", c.Statistics))
	}
	return errors.Join(faults...)
}

// A benchCase is one query with one set of arguments.
type benchCase struct {
	name string
	sql  string
	args []any
}

// expandCases gives the cases of a query: one, or one for each row of ArgsFrom.
func expandCases(ctx context.Context, conn *pgx.Conn, q Query) ([]benchCase, error) {
	if q.ArgsFrom == "" {
		c := benchCase{name: q.Name, sql: q.SQL}
		for _, a := range q.Args {
			c.args = append(c.args, a)
		}
		return []benchCase{c}, nil
	}
	rows, err := conn.Query(ctx, q.ArgsFrom)
	if err != nil {
		return nil, fmt.Errorf("drawing the arguments of %s: %w", q.Name, err)
	}
	defer rows.Close()
	var cases []benchCase
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, fmt.Errorf("drawing the arguments of %s: %w", q.Name, err)
		}
		if len(values) < 2 {
			return nil, fmt.Errorf("drawing the arguments of %s: args_from needs a column that names the case, and one for each argument", q.Name)
		}
		c := benchCase{name: q.Name + "-" + caseName(values[0]), sql: q.SQL}
		for _, v := range values[1:] {
			c.args = append(c.args, fmt.Sprint(v))
		}
		cases = append(cases, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("drawing the arguments of %s: %w", q.Name, err)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("drawing the arguments of %s: args_from gives no row", q.Name)
	}
	return cases, nil
}

// caseName makes a part of a metric name of any value.
func caseName(v any) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, fmt.Sprint(v))
}
