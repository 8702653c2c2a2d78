package dbbench

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A benchCase is one query with one set of arguments.
type benchCase struct {
	name   string
	on     *session
	query  string // the name of the query that it is of
	sql    string
	args   [][]byte // as text; nil is NULL
	weight float64
	random []generator // under load the arguments are drawn anew
	fault  error       // why it has no arguments, and can't run
}

// errArguments is that a query's arguments could not be drawn, which is its result.
var errArguments = errors.New("drawing the arguments")

// expandCases gives the cases of all queries. A query whose arguments can't be
// drawn gives one, with its fault. Those that an earlier result has are taken from
// there; nil draws all.
func (b *Bench) expandCases(ctx context.Context, queries []Query, m Moment, earlier *Result) ([]benchCase, error) {
	var all []benchCase
	names := map[string]bool{}
	for _, q := range queries {
		on := b.session(q.Node.At(m))
		cases, err := b.casesOf(ctx, on, q, earlier)
		switch {
		case err != nil && (ctx.Err() != nil || on.conn.IsClosed()):
			return nil, fmt.Errorf("%w of %s: %w", errArguments, q.Name, errors.Join(context.Cause(ctx), err))
		case err != nil:
			cases = []benchCase{{name: q.Name, fault: fmt.Errorf("%w: %w", errArguments, err)}}
		}
		weight := q.Weight
		if weight == 0 {
			weight = 1
		}
		for i := range cases {
			cases[i].on, cases[i].query, cases[i].sql, cases[i].weight = on, q.Name, q.SQL, weight/float64(len(cases))
			if names[cases[i].name] {
				return nil, fmt.Errorf("two cases have the name %s: give one of their queries another name", cases[i].name)
			}
			names[cases[i].name] = true
		}
		all = append(all, cases...)
	}
	return all, nil
}

// casesOf gives one case, or one for each row that the arguments are drawn from.
func (b *Bench) casesOf(ctx context.Context, on *session, q Query, earlier *Result) ([]benchCase, error) {
	from := q.ArgsFrom
	switch {
	case q.Organizations != "":
		from = organizationsQuery(q.Organizations)
	case len(q.Random) > 0:
		c, err := randomCase(q, b.config.Seed)
		return []benchCase{c}, err
	case from == "":
		c := benchCase{name: q.Name}
		for _, a := range q.Args {
			c.args = append(c.args, []byte(a))
		}
		return []benchCase{c}, nil
	}
	if same := earlier.casesOf(q); len(same) > 0 {
		return same, nil
	}
	return b.drawCases(ctx, on, q.Name, from)
}

// casesOf returns the cases that a result has of a query, with their arguments.
func (r *Result) casesOf(q Query) []benchCase {
	var cases []benchCase
	for i := 0; r != nil && i < len(r.Cases); i++ {
		if c := r.Cases[i]; c.Query == q.Name && c.SQL == q.SQL && len(c.Args) > 0 {
			cases = append(cases, benchCase{name: c.Name, args: c.arguments()})
		}
	}
	return cases
}

// setArguments keeps arguments as texts.
func (c *CaseResult) setArguments(args [][]byte) {
	for i, a := range args {
		text := string(a)
		if a == nil {
			text = "NULL"
			c.Nulls = append(c.Nulls, i)
		}
		c.Args = append(c.Args, text)
	}
}

// arguments returns what setArguments kept.
func (c *CaseResult) arguments() [][]byte {
	args := make([][]byte, len(c.Args))
	for i, a := range c.Args {
		if !slices.Contains(c.Nulls, i) {
			args[i] = []byte(a)
		}
	}
	return args
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

// drawCases makes a case of each row: its first column names it. The query runs as
// those of the suite do, in a transaction that is rolled back.
func (b *Bench) drawCases(ctx context.Context, on *session, name, query string) ([]benchCase, error) {
	var result *pgconn.Result
	err := b.inTransaction(ctx, on, func() error {
		// Values in text, as the server prints them, go back to it unchanged.
		result = on.conn.PgConn().ExecParams(ctx, query, nil, nil, nil, nil).Read()
		return result.Err
	})
	if err != nil {
		return nil, err
	}
	if len(result.Rows) == 0 {
		return nil, errors.New("the query gives no row")
	}
	if len(result.FieldDescriptions) < 2 {
		return nil, errors.New("it needs a column that names the case, and one for each argument")
	}
	var cases []benchCase
	names := map[string]bool{}
	for _, row := range result.Rows {
		c := benchCase{name: name + "-" + caseName(row[0]), args: row[1:]}
		if names[c.name] {
			return nil, fmt.Errorf("two cases have the name %s: the first column must differ", c.name)
		}
		names[c.name] = true
		cases = append(cases, c)
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

// organizationsForm is a column with its table, and perhaps its schema, and perhaps a
// condition on the organisations.
var organizationsForm = regexp.MustCompile(`(?is)^([^.\s"]+(?:\.[^.\s"]+){1,2})(?:\s+where\s+(\S.*))?$`)

// organizationsQuery ranks the values of a column by their rows, and takes those
// at the 10th, 50th and 90th percentile, and the largest. Equal ones go by their
// value, so that the same data gives the same cases.
func organizationsQuery(text string) string {
	match := organizationsForm.FindStringSubmatch(text)
	parts, among := strings.Split(match[1], "."), ""
	if match[2] != "" {
		among = " AND (" + match[2] + "\n)" // behind a comment, too
	}
	table, name := pgx.Identifier(parts[:len(parts)-1]).Sanitize(), pgx.Identifier(parts[len(parts)-1:]).Sanitize()
	return `WITH sizes AS (SELECT ` + name + ` AS id, count(*) AS n FROM ` + table + ` WHERE ` + name + ` IS NOT NULL` + among + ` GROUP BY 1),
		ranked AS (SELECT id, row_number() OVER (ORDER BY n, id) AS place, count(*) OVER () AS all_of_them FROM sizes)
		SELECT label, id FROM (VALUES ('small', 0.1), ('median', 0.5), ('large', 0.9), ('largest', 1.0)) AS wanted (label, part)
		JOIN ranked ON place = greatest(ceil(part * all_of_them), 1) ORDER BY part`
}
