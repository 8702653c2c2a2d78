package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"scaleproof/internal/child"
)

// dump returns the schema of the source: section is pre-data (tables, types,
// functions) or post-data (indexes, constraints, triggers).
func (j *Job) dump(ctx context.Context, c *Catalog, section string) (string, error) {
	dsn, password := withoutPassword(j.source.DSN)
	args := []string{
		"--dbname=" + dsn, "--section=" + section, "--schema-only", "--no-publications", "--no-subscriptions",
		"--no-password", "--exclude-schema=scaleproof",
	}
	if schema, name := j.config.RoutingTable(); name != "" {
		args = append(args, "--exclude-table="+ident(schema, name))
	}
	for _, t := range c.Tables {
		if t.Class == Omitted {
			args = append(args, "--exclude-table="+t.sql())
		}
	}
	cmd := exec.CommandContext(ctx, orDefault(j.config.PgDump, "pg_dump"), args...)
	cmd.Env = append(slices.Clone(j.opts.Environ), "PGPASSWORD="+password, "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := child.Run(ctx, cmd); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", errors.New("pg_dump is not in PATH: install the client of PostgreSQL, or name it by shard.pg_dump")
		}
		return "", fmt.Errorf("reading the schema by pg_dump: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

var keywordPassword = regexp.MustCompile(`(?i)\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|\S+)`)

// withoutPassword takes the password out of a connection string: the arguments of
// a process can be read by everyone.
func withoutPassword(dsn string) (rest, password string) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return dsn, ""
	}
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		if u.User != nil {
			u.User = url.User(u.User.Username())
		}
		query := u.Query()
		query.Del("password")
		u.RawQuery = query.Encode()
		return u.String(), config.Password
	}
	return strings.TrimSpace(keywordPassword.ReplaceAllString(dsn, "")), config.Password
}

// An entry is one object of a dump.
type entry struct{ name, kind, sql string }

// entryHead is the comment that pg_dump puts before each object.
var entryHead = regexp.MustCompile(`(?m)^-- Name: (.*); Type: ([^;]*); Schema: ([^;]*);.*$`)

// entriesOf cuts a dump into its objects; head is what stands before the first.
func entriesOf(dump string) (head string, entries []entry) {
	at := entryHead.FindAllStringSubmatchIndex(dump, -1)
	if len(at) == 0 {
		return dump, nil
	}
	for i, m := range at {
		end := len(dump)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name := dump[m[6]:m[7]] + "." + dump[m[2]:m[3]]
		entries = append(entries, entry{name, dump[m[4]:m[5]], withoutMeta(dump[m[1]:end])})
	}
	return withoutMeta(dump[:at[0][0]]), entries
}

// withoutMeta takes psql's own commands out, such as \restrict.
func withoutMeta(sql string) string {
	lines := strings.Split(sql, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, `\restrict`) || strings.HasPrefix(line, `\unrestrict`)
	}), "\n")
}

// makeTables makes the tables on the target, all or none.
func (j *Job) makeTables(ctx context.Context, c *Catalog) error {
	dump, err := j.dump(ctx, c, "pre-data")
	if err != nil {
		return err
	}
	// The schema public is there in a new database.
	dump = strings.ReplaceAll(withoutMeta(dump), "CREATE SCHEMA public;", "CREATE SCHEMA IF NOT EXISTS public;")
	conn, err := j.target.connect(ctx, nil)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	return inTx(ctx, conn, func(tx pgx.Tx) error {
		if _, err := conn.PgConn().Exec(ctx, dump).ReadAll(); err != nil {
			return fmt.Errorf("making the tables on %s: %w", j.target.Name, err)
		}
		_, err := tx.Exec(ctx, "UPDATE scaleproof.move SET schema_made = true WHERE name = $1", j.config.Name)
		return err
	})
}

// postStages are the kinds of objects that are made after the rows, in stages:
// within the first two several at once.
func postStages(entries []entry) [3][]entry {
	var stages [3][]entry
	for _, e := range entries {
		switch e.kind {
		case "CONSTRAINT":
			stages[0] = append(stages[0], e)
		case "INDEX":
			stages[1] = append(stages[1], e)
		default: // foreign keys, triggers, policies, attached indexes
			stages[2] = append(stages[2], e)
		}
	}
	return stages
}

// finishTables makes what pg_dump gives for after the rows. Each object stands in
// the ledger once it is made.
func (j *Job) finishTables(ctx context.Context, c *Catalog) error {
	dump, err := j.dump(ctx, c, "post-data")
	if err != nil {
		return err
	}
	head, entries := entriesOf(dump)
	entries = slices.DeleteFunc(entries, func(e entry) bool {
		// Those of another move, whose functions the dump has not.
		return e.kind == "TRIGGER" && strings.Contains(e.sql, " EXECUTE FUNCTION scaleproof.")
	})
	for i, stage := range postStages(entries) {
		workers := j.config.workers()
		if i == 2 {
			workers = 1
		}
		if err := j.makeEntries(ctx, head, stage, workers); err != nil {
			return err
		}
	}
	return nil
}

// makeEntries makes objects, some at once. The order within one worker is kept.
func (j *Job) makeEntries(ctx context.Context, head string, entries []entry, workers int) error {
	var mu sync.Mutex
	next := 0
	take := func() (entry, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= len(entries) {
			return entry{}, false
		}
		next++
		return entries[next-1], true
	}
	group, ctx := errgroup.WithContext(ctx)
	for range min(workers, len(entries)) {
		group.Go(func() error {
			conn, err := j.target.connect(ctx, nil)
			if err != nil {
				return err
			}
			defer closeConn(conn)
			if _, err := conn.PgConn().Exec(ctx, head).ReadAll(); err != nil {
				return fmt.Errorf("preparing the session: %w", err)
			}
			for e, ok := take(); ok; e, ok = take() {
				if err := j.makeEntry(ctx, conn, e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (j *Job) makeEntry(ctx context.Context, conn *pgx.Conn, e entry) error {
	return inTx(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock_shared($1)", j.lockKey("worker")); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "INSERT INTO scaleproof.entry VALUES ($1, $2) ON CONFLICT DO NOTHING", j.config.Name, e.kind+" "+e.name)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if _, err := conn.PgConn().Exec(ctx, e.sql).ReadAll(); err != nil {
			return fmt.Errorf("making %s %s on %s: %w", strings.ToLower(e.kind), e.name, j.target.Name, err)
		}
		return nil
	})
}
