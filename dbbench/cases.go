package dbbench

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A benchCase is one query with one set of arguments.
type benchCase struct {
	name   string
	query  string // the name of the query that it is of
	sql    string
	args   [][]byte // as text; nil is NULL
	weight float64
	random []generator // under load the arguments are drawn anew
}

// expandCases gives the cases of all queries.
func expandCases(ctx context.Context, conn *pgx.Conn, queries []Query, seed uint64) ([]benchCase, error) {
	var all []benchCase
	names := map[string]bool{}
	for _, q := range queries {
		cases, err := q.cases(ctx, conn, seed)
		if err != nil {
			return nil, fmt.Errorf("drawing the arguments of %s: %w", q.Name, err)
		}
		weight := q.Weight
		if weight == 0 {
			weight = 1
		}
		for i := range cases {
			cases[i].query, cases[i].sql, cases[i].weight = q.Name, q.SQL, weight/float64(len(cases))
			if names[cases[i].name] {
				return nil, fmt.Errorf("two cases have the name %s: the first column must differ", cases[i].name)
			}
			names[cases[i].name] = true
		}
		all = append(all, cases...)
	}
	return all, nil
}

// cases gives one case, or one for each row that the arguments are drawn from.
func (q Query) cases(ctx context.Context, conn *pgx.Conn, seed uint64) ([]benchCase, error) {
	switch {
	case q.ArgsFrom != "":
		return drawCases(ctx, conn, q.Name, q.ArgsFrom)
	case q.Organizations != "":
		return drawCases(ctx, conn, q.Name, organizationsQuery(q.Organizations))
	case len(q.Random) > 0:
		c, err := randomCase(q, seed)
		return []benchCase{c}, err
	}
	c := benchCase{name: q.Name}
	for _, a := range q.Args {
		c.args = append(c.args, []byte(a))
	}
	return []benchCase{c}, nil
}

// randomCase draws the arguments once, from the seed and the query's name, so
// that they stay the same when the suite grows.
func randomCase(q Query, seed uint64) (benchCase, error) {
	c := benchCase{name: q.Name}
	name := fnv.New64a()
	_, _ = name.Write([]byte(q.Name)) // never fails
	rng := rand.New(rand.NewPCG(seed, name.Sum64()))
	for _, text := range q.Random {
		g, err := parseGenerator(text)
		if err != nil {
			return c, err
		}
		c.random = append(c.random, g)
		c.args = append(c.args, g(rng)(nil))
	}
	return c, nil
}

// drawCases makes a case of each row: its first column names it.
func drawCases(ctx context.Context, conn *pgx.Conn, name, query string) ([]benchCase, error) {
	// Values in text, as the server prints them, go back to it unchanged.
	result := conn.PgConn().ExecParams(ctx, query, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	if len(result.FieldDescriptions) < 2 {
		return nil, fmt.Errorf("it needs a column that names the case, and one for each argument")
	}
	var cases []benchCase
	for _, row := range result.Rows {
		cases = append(cases, benchCase{name: name + "-" + caseName(row[0]), args: row[1:]})
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("the query gives no row")
	}
	return cases, nil
}

// caseName makes a part of a metric name of any text.
func caseName(label []byte) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, string(label))
}

// columnName is a column with its table, and perhaps its schema.
var columnName = regexp.MustCompile(`^[^.\s"]+(\.[^.\s"]+){1,2}$`)

// organizationsQuery ranks the values of a column by their rows, and takes those
// at the 10th, 50th and 90th percentile, and the largest. Equal ones go by their
// value, so that the same data gives the same cases.
func organizationsQuery(column string) string {
	parts := strings.Split(column, ".")
	table, name := pgx.Identifier(parts[:len(parts)-1]).Sanitize(), pgx.Identifier(parts[len(parts)-1:]).Sanitize()
	return `WITH sizes AS (SELECT ` + name + ` AS id, count(*) AS n FROM ` + table + ` WHERE ` + name + ` IS NOT NULL GROUP BY 1),
		ranked AS (SELECT id, row_number() OVER (ORDER BY n, id) AS place, count(*) OVER () AS all_of_them FROM sizes)
		SELECT label, id FROM (VALUES ('small', 0.1), ('median', 0.5), ('large', 0.9), ('largest', 1.0)) AS wanted (label, part)
		JOIN ranked ON place = greatest(ceil(part * all_of_them), 1) ORDER BY part`
}
