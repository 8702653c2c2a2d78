package dbbench

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// directive is a comment that says something of the statement behind it.
var directive = regexp.MustCompile(`^\s*--\s*(name|params|weight|node)\s*:\s*(.*?)\s*$`)

// A sqlQuery is a query with the lines that it stands on.
type sqlQuery struct {
	Query
	line       int
	params     []string
	paramsLine int
	started    bool // its statement has begun
}

// parseSQL splits a file at its named comments. What stands before the first is
// refused unless it is blank or a comment.
func parseSQL(text string) ([]Query, error) {
	var parsed []*sqlQuery
	for i, line := range strings.Split(text, "\n") {
		var current *sqlQuery
		if len(parsed) > 0 {
			current = parsed[len(parsed)-1]
		}
		match := directive.FindStringSubmatch(line)
		comment := strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "--")
		var err error
		switch {
		case match != nil && match[1] == "name":
			parsed = append(parsed, &sqlQuery{Query: Query{Name: match[2]}, line: i + 1})
		case current == nil && (match != nil || !comment):
			err = fmt.Errorf("line %d: a statement needs a comment before it: -- name: NAME", i+1)
		case match != nil:
			err = current.direct(match[1], match[2], i+1)
		case current != nil:
			current.started = current.started || !comment
			current.SQL += line + "\n"
		}
		if err != nil {
			return nil, err
		}
	}
	return finishSQL(parsed)
}

// direct takes a comment that says something of the query.
func (q *sqlQuery) direct(name, value string, line int) error {
	if q.started {
		return fmt.Errorf("line %d: -- %s: stands behind the statement of %s: put it before, or name another", line, name, q.Name)
	}
	if name == "params" {
		q.params, q.paramsLine = append(q.params, value), line
		return nil
	}
	if name == "node" {
		if value == "" {
			return fmt.Errorf("line %d: -- node: names no node", line)
		}
		q.Node = On(value)
		return nil
	}
	weight, err := strconv.ParseFloat(value, 64)
	if err != nil || !(weight > 0) {
		return fmt.Errorf("line %d: a weight is a number above 0, and is %q", line, value)
	}
	q.Weight = weight
	return nil
}

func finishSQL(parsed []*sqlQuery) ([]Query, error) {
	var queries []Query
	for _, q := range parsed {
		q.SQL = strings.TrimSuffix(strings.TrimSpace(trailingComments.ReplaceAllString(q.SQL, "")), ";")
		if err := q.parseParams(strings.Join(q.params, "\n")); err != nil {
			return nil, fmt.Errorf("line %d: the parameters of %s: %w", q.paramsLine, q.Name, err)
		}
		if faults := q.validate("query"); len(faults) > 0 {
			return nil, fmt.Errorf("line %d: %w", q.line, faults[0])
		}
		queries = append(queries, q.Query)
	}
	return queries, validateQueries(queries)
}

// trailingComments are those behind a statement: they speak of the next.
var trailingComments = regexp.MustCompile(`(?:\n\s*(?:--[^\n]*)?)*$`)

// parseParams reads the four forms of parameters.
func (q *sqlQuery) parseParams(text string) (err error) {
	word, rest := text, ""
	if end := strings.IndexFunc(text, unicode.IsSpace); end >= 0 {
		word, rest = text[:end], strings.TrimSpace(text[end:])
	}
	switch strings.ToLower(word) {
	case "":
	case "from":
		q.ArgsFrom = rest
	case "organizations", "organisations":
		q.Organizations = strings.TrimSpace(strings.TrimPrefix(rest, "of "))
	case "random":
		q.Random, err = splitList(rest)
	default:
		var values []string
		values, err = splitList(text)
		for _, v := range values {
			q.Args = append(q.Args, unquote(v))
		}
	}
	return err
}

// splitList splits at the commas that are neither in quotes nor in parentheses.
func splitList(text string) ([]string, error) {
	var parts []string
	start, depth, quoted := 0, 0, false
	for i, c := range text {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	if quoted || depth != 0 {
		return nil, fmt.Errorf("a quote or a parenthesis is not closed in %q", text)
	}
	parts = append(parts, text[start:])
	for i, part := range parts {
		if parts[i] = strings.TrimSpace(part); parts[i] == "" {
			return nil, fmt.Errorf("a value is missing in %q", text)
		}
	}
	return parts, nil
}

// unquote takes the quotes off an SQL text; a bare word is itself.
func unquote(text string) string {
	if len(text) >= 2 && text[0] == '\'' && text[len(text)-1] == '\'' {
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'")
	}
	return text
}
