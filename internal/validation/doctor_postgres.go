package validation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"scaleproof/dbbench"
	"scaleproof/scaling"
)

// checkPostgres looks at a node's reach, at its extensions, and at what the role may
// do there of what the steps want.
func (r *runner) checkPostgres(ctx context.Context, node dbbench.Node) []scaling.Check {
	title := "postgres " + node.Name
	conn, err := pgx.Connect(ctx, node.DSN)
	if err != nil {
		return []scaling.Check{r.check(title, "", err, "start it, or mend its connection string")}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version, role string
	var number int // as 150004 of 15.4
	var monitors, statements, timing, readOnly bool
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_user, pg_has_role('pg_monitor', 'USAGE'),
		EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'), current_setting('track_io_timing')::bool,
		pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool`).
		Scan(&version, &number, &role, &monitors, &statements, &timing, &readOnly)
	if err != nil {
		return []scaling.Check{r.check(title, "", err, "")}
	}
	checks := []scaling.Check{{Name: title, State: scaling.CheckOK, Detail: fmt.Sprintf("PostgreSQL %s as %s", version, role)}}
	for _, c := range []struct {
		ok           bool
		detail, mend string
	}{
		{monitors, "the role sees only its own activity", "GRANT pg_monitor TO " + pgx.Identifier{role}.Sanitize()},
		{statements, "pg_stat_statements is missing", "add it to shared_preload_libraries, restart, and run CREATE EXTENSION pg_stat_statements"},
		{timing, "track_io_timing is off: plans don't tell the time of reads", "ALTER SYSTEM SET track_io_timing = on"},
	} {
		if !c.ok {
			checks = append(checks, scaling.Check{Name: title, State: scaling.CheckWarning, Detail: c.detail, Mend: c.mend})
		}
	}
	checks = append(checks, r.checkReplication(ctx, conn, node.Name)...)
	earlier := "" // statements
	for _, s := range r.plan.Action.Steps {
		if !s.WritesNode(node.Name) {
			continue
		}
		name := "rights of step " + s.Title() + " on " + node.Name
		if readOnly {
			checks = append(checks, scaling.Check{Name: name, State: scaling.CheckFault, Detail: "the server takes no writes: it is a replica, or read-only", Mend: "name the primary as the step's node"})
			continue
		}
		for _, statement := range slices.Concat(s.SQL.Up, s.SQL.Down) {
			checks = append(checks, r.checkStatement(ctx, conn, number, name, statement, earlier)...)
			earlier += statement + "\n"
		}
	}
	return checks
}

// A sqlRight is what a form of statement needs. Its query takes the name in the
// statement, and gives whether the role may, or null where the object is not there.
type sqlRight struct {
	form        *regexp.Regexp
	query, mend string
}

// name is an identifier as it stands in a statement, with its schema or without.
const name = `((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)`

// owns tells whether the role is, or is a member of, the owner of a relation.
const owns = `SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass($1)`

// sqlRights are the forms of statements that scale a database. Others can't be
// judged without running them. version is the server's, as 150004.
func sqlRights(version int) []sqlRight {
	alterSystem := sqlRight{query: "SELECT rolsuper FROM pg_roles WHERE rolname = current_user AND $1 <> ''", mend: "use a superuser"}
	if version >= 150000 {
		alterSystem.query = "SELECT has_parameter_privilege($1, 'ALTER SYSTEM')"
		alterSystem.mend = "GRANT ALTER SYSTEM ON PARAMETER ... TO the role"
	}
	form := func(text string) *regexp.Regexp { return regexp.MustCompile(`(?is)^\s*` + text) }
	return []sqlRight{
		{form(`CREATE\s+(?:UNIQUE\s+)?INDEX\s.*?\sON\s+(?:ONLY\s+)?` + name), owns, "make the role a member of the table's owner"},
		{form(`ALTER\s+(?:TABLE|INDEX)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?` + name), owns, "make the role a member of the table's owner"},
		{form(`DROP\s+(?:TABLE|INDEX|VIEW|MATERIALIZED\s+VIEW)\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?` + name), owns, "make the role a member of its owner"},
		{form(`(CREATE\s+DATABASE)\s`), "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user AND $1 <> ''", "ALTER ROLE ... CREATEDB"},
		{form(`ALTER\s+SYSTEM\s+(?:SET|RESET)\s+([\w.]+)`), alterSystem.query, alterSystem.mend},
		{form(`CREATE\s+(TABLE)\s`), "SELECT has_schema_privilege(current_schema(), 'CREATE') WHERE $1 <> ''", "GRANT CREATE ON SCHEMA ..."},
		{form(`(CREATE\s+SCHEMA)\s`), "SELECT has_database_privilege(current_database(), 'CREATE') WHERE $1 <> ''", "GRANT CREATE ON DATABASE ..."},
		{form(`UPDATE\s+(?:ONLY\s+)?` + name), "SELECT has_table_privilege(to_regclass($1), 'UPDATE')", "GRANT UPDATE ON ..."},
		{form(`INSERT\s+INTO\s+` + name), "SELECT has_table_privilege(to_regclass($1), 'INSERT')", "GRANT INSERT ON ..."},
		{form(`DELETE\s+FROM\s+(?:ONLY\s+)?` + name), "SELECT has_table_privilege(to_regclass($1), 'DELETE')", "GRANT DELETE ON ..."},
	}
}

// ifExists is in a statement that bears that what it names is not there.
var ifExists = regexp.MustCompile(`(?i)\sIF\s+EXISTS\s`)

// checkStatement tells a right that the role lacks, or that what the statement is about
// is not there, and in none of the earlier statements, which may make it.
func (r *runner) checkStatement(ctx context.Context, conn *pgx.Conn, version int, title, statement, earlier string) []scaling.Check {
	short := strings.Join(strings.Fields(r.plan.Secrets.String(statement)), " ")
	for _, right := range sqlRights(version) {
		match := right.form.FindStringSubmatch(statement)
		if match == nil {
			continue
		}
		var may *bool
		err := conn.QueryRow(ctx, right.query, match[1]).Scan(&may)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && may == nil:
			if ifExists.MatchString(statement) || strings.Contains(earlier, match[1]) {
				return nil
			}
			return []scaling.Check{{Name: title, State: scaling.CheckWarning, Detail: match[1] + " is not there: " + short, Mend: "mend its name, or be sure that an earlier step makes it"}}
		case err != nil:
			return []scaling.Check{r.check(title, "", fmt.Errorf("%s: %w", short, err), "")}
		case !*may:
			return []scaling.Check{{Name: title, State: scaling.CheckFault, Detail: "the role may not: " + short, Mend: right.mend}}
		}
		return []scaling.Check{{Name: title, State: scaling.CheckOK, Detail: short}}
	}
	return []scaling.Check{{Name: title, State: scaling.CheckWarning, Detail: "whether the role may can't be told without running it: " + short, Mend: "try it in a transaction that is rolled back"}}
}
