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
		name, where, valid, want := indexOf(statement)
		if name == "" {
			return "", ""
		}
		queries = append(queries, fmt.Sprintf(`SELECT %s || coalesce((SELECT CASE WHEN %s THEN 'valid' ELSE 'invalid' END
			FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE %s), 'absent') AS state`, literal(name+" "), valid, where))
		expects = append(expects, name+" "+want)
	}
	return "SELECT string_agg(state, ', ') FROM (" + strings.Join(queries, " UNION ALL ") + ") s", strings.Join(expects, ", ")
}

// indexOf tells the index that a statement makes or drops, how to find it, when it is
// valid, and what is to become of it.
func indexOf(statement string) (name, where, valid, want string) {
	valid = "x.indisvalid"
	if m := createIndex.FindStringSubmatch(statement); m != nil {
		name = folded(m[1]) // it comes to be in the schema of its table
		if m[2] != "" {
			valid += " OR c.relkind = 'I'" // of a partitioned table alone: those of its partitions are to be attached
		}
		return name, fmt.Sprintf("c.relname = %s AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
			literal(name), literal(m[3])), valid, "valid"
	}
	if m := dropIndex.FindStringSubmatch(statement); m != nil {
		return m[1], fmt.Sprintf("c.oid = to_regclass(%s)", literal(m[1])), valid, "absent"
	}
	return "", "", "", ""
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
