package scaling

import (
	"fmt"
	"regexp"
	"strings"
)

// The statements whose state can be told without a query of the plan's: those that
// make or drop one index.
var (
	createIndex = regexp.MustCompile(`(?is)^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?` +
		identifier + `\s+ON\s+(ONLY\s+)?(` + identifier + `(?:\.` + identifier + `)?)[\s(][^;]*;?\s*$`)
	dropIndex = regexp.MustCompile(`(?is)^\s*DROP\s+INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?(` +
		identifier + `(?:\.` + identifier + `)?)(?:\s+(?:CASCADE|RESTRICT))?\s*;?\s*$`)
)

// identifier is a name as it stands in a statement.
const identifier = `("(?:[^"]|"")+"|[\pL_][\pL\pN_$]*)`

// state returns the query of the step's state, and what it gives once the statements
// have worked: the plan's own, or of statements that all make or drop an index,
// whether each is valid, invalid, as a failed CREATE INDEX CONCURRENTLY leaves it, or
// absent. It is empty where the state can't be told.
func (s SQL) state() (query, expect string) {
	if s.Read != "" || len(s.Up) == 0 {
		return s.Read, s.Expect
	}
	var queries, expects []string
	for _, statement := range s.Up {
		i, ok := indexOf(statement)
		if !ok {
			return "", ""
		}
		queries = append(queries, fmt.Sprintf(`SELECT %s || coalesce((SELECT CASE WHEN %s THEN 'valid' ELSE 'invalid' END
			FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE %s), 'absent') AS state`, literal(i.name+" "), i.valid, i.where))
		expects = append(expects, i.name+" "+i.becomes)
	}
	return "SELECT string_agg(state, ', ') FROM (" + strings.Join(queries, " UNION ALL ") + ") s", strings.Join(expects, ", ")
}

// A stateOfIndex is how to tell the state of an index that a statement makes or drops.
type stateOfIndex struct {
	name    string
	where   string // the condition that finds it
	valid   string // the condition by which it is
	becomes string // what the statement is to make of it: valid or absent
}

// indexOf tells the index that a statement makes or drops; ok is false where it does
// something else.
func indexOf(statement string) (i stateOfIndex, ok bool) {
	if m := createIndex.FindStringSubmatch(statement); m != nil {
		i = stateOfIndex{name: folded(m[1]), valid: "x.indisvalid", becomes: "valid"}
		i.where = fmt.Sprintf("c.relname = %s AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
			literal(i.name), literal(m[3])) // it comes to be in the schema of its table
		if m[2] != "" {
			i.valid += " OR c.relkind = 'I'" // of a partitioned table alone: those of its partitions are to be attached
		}
		return i, true
	}
	if m := dropIndex.FindStringSubmatch(statement); m != nil {
		return stateOfIndex{name: m[1], where: fmt.Sprintf("c.oid = to_regclass(%s)", literal(m[1])), valid: "x.indisvalid", becomes: "absent"}, true
	}
	return stateOfIndex{}, false
}

// folded is the name that an identifier stands for. Postgres folds ASCII alone where
// characters have several bytes.
func folded(identifier string) string {
	if quoted, ok := strings.CutPrefix(identifier, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(quoted, `"`), `""`, `"`)
	}
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, identifier)
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
