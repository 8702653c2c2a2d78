package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// slot is the name of the move's slot, publication and subscription.
func (j *Job) slot() string { return "scaleproof_" + j.config.Name }

// onSlot makes the publication and the slot, and runs f on the snapshot at which
// the slot begins: what is written later comes by replication. A slot of an
// earlier attempt goes first, since its snapshot is gone.
func (j *Job) onSlot(ctx context.Context, c *Catalog, f func(ctx context.Context, source *pgx.Conn, snapshot string) error) error {
	if err := j.dropReplication(ctx); err != nil {
		return err
	}
	if err := j.publish(ctx, c); err != nil {
		return err
	}
	walsender, err := j.source.connect(ctx, map[string]string{"replication": "database"})
	if err != nil {
		return err
	}
	defer closeConn(walsender)
	j.say("making the slot %s, which waits for the transactions that are running", j.slot())
	results, err := walsender.PgConn().Exec(ctx, "CREATE_REPLICATION_SLOT "+ident(j.slot())+" LOGICAL pgoutput EXPORT_SNAPSHOT").ReadAll()
	if err != nil {
		return fmt.Errorf("making the slot %s: %w", j.slot(), err)
	}
	snapshot := string(results[0].Rows[0][2])
	source, err := side{j.source, snapshot}.open(ctx)
	if err != nil {
		return err
	}
	defer closeConn(source)
	return f(ctx, source, snapshot)
}

// publish makes the publication, whose filters take the rows that move. Their
// columns must be in the replica identity, which becomes the whole row where it
// lacks them; the ledger of the source remembers what it was.
func (j *Job) publish(ctx context.Context, c *Catalog) error {
	return j.source.with(ctx, func(conn *pgx.Conn) error {
		if err := makeLedger(ctx, conn); err != nil {
			return err
		}
		for _, t := range c.owned() {
			for _, l := range append(t.leaves, leaf{schema: t.Schema, name: t.Name}) {
				if err := j.identify(ctx, conn, t, l); err != nil {
					return fmt.Errorf("setting the replica identity of %s: %w", t, err)
				}
			}
		}
		tables := []string{"scaleproof.marker WHERE (move = " + quote(j.config.Name) + ")"}
		for _, t := range c.owned() {
			tables = append(tables, t.from()+" WHERE "+filter(c, t))
		}
		// TRUNCATE knows no filters.
		return execAll(ctx, conn, markerDDL, "CREATE PUBLICATION "+ident(j.slot())+" FOR TABLE "+strings.Join(tables, ", ")+
			" WITH (publish = 'insert, update, delete', publish_via_partition_root = true)")
	})
}

// filter writes a row filter, which knows no aliases.
func filter(c *Catalog, t *Table) string {
	return "(" + c.organizations.where(ident(t.Column), c.key) + ")"
}

// markerDDL makes the table whose row shows, once it has come to the target, that
// all that was written before has come too.
const markerDDL = "CREATE TABLE IF NOT EXISTS scaleproof.marker (move text PRIMARY KEY, token bigint NOT NULL)"

// identify makes the whole row a leaf's replica identity where the one that it has
// now lacks the filter's column.
func (j *Job) identify(ctx context.Context, conn *pgx.Conn, t *Table, l leaf) error {
	name := ident(l.schema, l.name)
	var identity, index string
	if err := conn.QueryRow(ctx, `SELECT c.relreplident::text, coalesce((SELECT quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
		WHERE i.indrelid = c.oid AND i.indisreplident), '') FROM pg_class c WHERE c.oid = $1::text::regclass`, name).Scan(&identity, &index); err != nil {
		return err
	}
	if identity == "f" || identity == "d" && slices.Contains(t.Key, t.Column) {
		return nil
	}
	back := map[string]string{"d": "DEFAULT", "n": "NOTHING", "i": "USING INDEX " + index}[identity]
	return patiently(ctx, conn, "INSERT INTO scaleproof.setting VALUES ("+quote(j.config.Name)+", "+quote("ALTER TABLE "+name+" REPLICA IDENTITY "+back)+") ON CONFLICT DO NOTHING",
		"ALTER TABLE "+name+" REPLICA IDENTITY FULL")
}

// subscribe lets the target follow the slot.
func (j *Job) subscribe(ctx context.Context, target *pgx.Conn) error {
	there, err := j.following(ctx)
	if err != nil || there {
		return err
	}
	j.say("following the writes by the subscription %s", j.slot())
	return execAll(ctx, target, markerDDL, "CREATE SUBSCRIPTION "+ident(j.slot())+" CONNECTION "+quote(orDefault(j.config.SourceDSN, j.source.DSN))+
		" PUBLICATION "+ident(j.slot())+" WITH (copy_data = false, create_slot = false, slot_name = "+quote(j.slot())+")")
}

// dropReplication takes away what an online move has made to follow writes:
// subscription first, so that nothing reads the slot, then the slot, so that no
// WAL is held back, then the publication and the replica identities. What is not
// there is left out.
func (j *Job) dropReplication(ctx context.Context) error {
	if err := j.target.with(ctx, func(conn *pgx.Conn) error {
		there, err := j.following(ctx)
		if err != nil || !there {
			return err
		}
		name := ident(j.slot())
		return execAll(ctx, conn, "ALTER SUBSCRIPTION "+name+" DISABLE", "ALTER SUBSCRIPTION "+name+" SET (slot_name = NONE)", "DROP SUBSCRIPTION "+name)
	}); err != nil {
		return fmt.Errorf("dropping the subscription: %w", err)
	}
	return j.source.with(ctx, func(conn *pgx.Conn) error {
		if err := j.dropSlot(ctx, conn); err != nil {
			return fmt.Errorf("dropping the slot %s: %w", j.slot(), err)
		}
		if err := execAll(ctx, conn, "DROP PUBLICATION IF EXISTS "+ident(j.slot())); err != nil {
			return err
		}
		return j.restoreSettings(ctx, conn)
	})
}

// dropSlot drops the slot, once the process that serves it has ended.
func (j *Job) dropSlot(ctx context.Context, conn *pgx.Conn) error {
	ticker := time.NewTicker(catchUpInterval)
	defer ticker.Stop()
	for {
		var pid *int32
		err := conn.QueryRow(ctx, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()", j.slot()).Scan(&pid)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		case pid == nil:
			return execAll(ctx, conn, "SELECT pg_drop_replication_slot("+quote(j.slot())+")")
		}
		if err := execAll(ctx, conn, "SELECT pg_terminate_backend("+strconv.Itoa(int(*pid))+")"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// restoreSettings undoes what publish has set.
func (j *Job) restoreSettings(ctx context.Context, conn *pgx.Conn) error {
	there, err := exists(ctx, conn, "scaleproof.setting")
	if err != nil || !there {
		return err
	}
	rows, err := conn.Query(ctx, "SELECT statement FROM scaleproof.setting WHERE move = $1", j.config.Name)
	if err != nil {
		return fmt.Errorf("reading the settings to restore: %w", err)
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reading the settings to restore: %w", err)
	}
	for _, s := range statements {
		if err := patiently(ctx, conn, s, "DELETE FROM scaleproof.setting WHERE move = "+quote(j.config.Name)+" AND statement = "+quote(s)); err != nil {
			return err
		}
	}
	return nil
}
