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

// catchUpInterval is the time between looks for the marker.
const catchUpInterval = 20 * time.Millisecond

// catchUp waits until the target has all that was committed on the source before
// it was called. Applying is in the order of commits, so that it has once a marker
// is there which is written now.
func (j *Job) catchUp(ctx context.Context) error {
	token := j.opts.Now().UnixNano()
	return j.source.with(ctx, func(source *pgx.Conn) error {
		if err := inTx(ctx, source, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "DELETE FROM scaleproof.marker WHERE move = $1", j.config.Name); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO scaleproof.marker VALUES ($1, $2)", j.config.Name, token)
			return err
		}); err != nil {
			return fmt.Errorf("marking the end of the writes: %w", err)
		}
		return j.target.with(ctx, func(target *pgx.Conn) error {
			ticker := time.NewTicker(catchUpInterval)
			defer ticker.Stop()
			failedBefore, err := j.applyFailures(ctx, target)
			if err != nil {
				return err
			}
			for looks := 0; ; looks++ {
				var come bool
				if err := target.QueryRow(ctx, "SELECT EXISTS (SELECT FROM scaleproof.marker WHERE move = $1 AND token = $2)", j.config.Name, token).Scan(&come); err != nil {
					return fmt.Errorf("waiting for the writes to come: %w", err)
				}
				if come {
					return nil
				}
				if looks%50 == 0 {
					if err := j.reportLag(ctx, source, target, failedBefore); err != nil {
						return err
					}
				}
				select {
				case <-ctx.Done():
					return fmt.Errorf("waiting for the writes to come: %w", context.Cause(ctx))
				case <-ticker.C:
				}
			}
		})
	})
}

// reportLag tells how far the target is behind, and fails where the subscription
// can't go on.
func (j *Job) reportLag(ctx context.Context, source, target *pgx.Conn, failedBefore int64) error {
	lag, err := j.lagOf(ctx, source)
	if err != nil {
		return err
	}
	var enabled bool
	if err := target.QueryRow(ctx, "SELECT coalesce(bool_or(subenabled), false) FROM pg_subscription WHERE subname = $1", j.slot()).Scan(&enabled); err != nil {
		return fmt.Errorf("reading the subscription: %w", err)
	}
	if !enabled {
		return fmt.Errorf("the subscription %s on %s is not there, or disabled: see the target's log", j.slot(), j.target.Name)
	}
	failed, err := j.applyFailures(ctx, target)
	if err != nil {
		return err
	}
	if failed >= failedBefore+maxApplyFailures {
		return fmt.Errorf("%s can't apply the writes that it follows, and has failed %d times since: its log says why: mend that, or abandon the move", j.target.Name, failed-failedBefore)
	}
	j.opts.OnProgress(Progress{Doing: "catching up", Bytes: lag})
	return nil
}

// maxApplyFailures is how often the target may fail to apply what it follows while
// it is waited for: once may be a deadlock, which the next attempt mends. Attempts
// are wal_retrieve_retry_interval apart.
const maxApplyFailures = 2

// applyFailures returns how often the target has failed to apply writes; before
// version 15, which does not count them, 0.
func (j *Job) applyFailures(ctx context.Context, target *pgx.Conn) (n int64, err error) {
	counted, err := exists(ctx, target, "pg_catalog.pg_stat_subscription_stats")
	if err != nil || !counted {
		return 0, err
	}
	if err := target.QueryRow(ctx, "SELECT coalesce(sum(apply_error_count), 0)::bigint FROM pg_stat_subscription_stats WHERE subname = $1", j.slot()).Scan(&n); err != nil {
		return 0, fmt.Errorf("reading the failures of the subscription: %w", err)
	}
	return n, nil
}

// errNoSlot is that the slot, and with it what was written since, is gone.
var errNoSlot = errors.New("the replication slot is gone")

// lagOf returns the bytes of WAL that the slot holds back.
func (j *Job) lagOf(ctx context.Context, source *pgx.Conn) (int64, error) {
	var lag *int64
	var lost bool
	err := source.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint, coalesce(wal_status, '') = 'lost' FROM pg_replication_slots WHERE slot_name = $1", j.slot()).Scan(&lag, &lost)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && (lost || lag == nil):
		return 0, fmt.Errorf("%s: %w: abandon the move, and begin again", j.slot(), errNoSlot)
	case err != nil:
		return 0, fmt.Errorf("reading the slot %s: %w", j.slot(), err)
	}
	return *lag, nil
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
