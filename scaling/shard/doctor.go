package shard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A Leftover is what a move has left behind that does harm.
type Leftover struct{ Node, What, Mend string }

const slotsSQL = `
SELECT slot_name, pg_size_pretty(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn))
FROM pg_replication_slots WHERE slot_name LIKE 'scaleproof\_%' AND NOT active AND database = current_database()`

const stoppedSQL = "SELECT name, organizations FROM scaleproof.move WHERE phase IN ('closing', 'returning')"

// Leftovers looks on each node for slots of moves that nobody reads, which hold
// back WAL until the disk is full, and for cut-overs that were stopped between the
// two sides. A node that can't be reached has none: others tell of that.
func Leftovers(ctx context.Context, nodes []Node) []Leftover {
	var all []Leftover
	for _, n := range nodes {
		_ = n.with(ctx, func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, slotsSQL)
			if err != nil {
				return err
			}
			var name, held string
			_, err = pgx.ForEachRow(rows, []any{&name, &held}, func() error {
				move := strings.TrimPrefix(name, "scaleproof_")
				all = append(all, Leftover{
					n.Name, fmt.Sprintf("the slot %s of the move %s is read by nobody, and holds back %s of WAL", name, move, held),
					fmt.Sprintf("go on by scaleproof shard move, or give up by scaleproof shard move --abandon; where the plan is gone: SELECT pg_drop_replication_slot(%s)", quote(name)),
				})
				return nil
			})
			if err != nil {
				return err
			}
			if rows, err = conn.Query(ctx, stoppedSQL); err != nil {
				return err // no move was ever here
			}
			_, err = pgx.ForEachRow(rows, []any{&name, &held}, func() error {
				all = append(all, Leftover{
					n.Name, fmt.Sprintf("the cut-over of the move %s was stopped in its middle: organisations %s are closed", name, held),
					"end it by scaleproof shard cutover, or undo it by scaleproof shard cutover --back",
				})
				return nil
			})
			return err
		})
	}
	return all
}

// Check says what would keep the move from working, and what a person should
// know, without counting rows but for a sample of tables without a primary key.
func (j *Job) Check(ctx context.Context) (faults, warnings []string, err error) {
	defer j.release()
	c, err := j.catalog(ctx)
	if err != nil {
		return nil, nil, err
	}
	if faults, err = j.faults(ctx, c); err != nil {
		return nil, nil, err
	}
	err = j.source.with(ctx, func(conn *pgx.Conn) error {
		whole, err := j.wholeTables(ctx, conn, c)
		if err != nil {
			return err
		}
		warnings, err = j.warnings(ctx, c, whole)
		return err
	})
	return faults, warnings, err
}

// warnings says what a person should know, and a move survives.
func (j *Job) warnings(ctx context.Context, c *Catalog, whole []WholeTable) ([]string, error) {
	warnings := append(slices.Clone(c.Warnings), j.wholeWarnings(whole)...)
	if j.config.Throttle == (Throttle{}) {
		return warnings, nil
	}
	err := j.source.with(ctx, func(conn *pgx.Conn) error {
		warning, err := throttleWarning(ctx, conn, j.source.Name)
		if warning != "" {
			warnings = append(warnings, warning)
		}
		return err
	})
	return warnings, err
}
