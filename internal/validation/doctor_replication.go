package validation

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

// backupSenders is how many WAL senders the base backup of one new replica takes
// while it lasts: one for the files and one for the WAL written meanwhile.
const backupSenders = 2

// checkReplication looks at what the replicas that a plan waits for need of the node
// that they will stream from.
func (r *runner) checkReplication(ctx context.Context, conn *pgx.Conn, node string) []scaling.Check {
	replicas, awaited := 0, false
	for _, s := range r.plan.Action.Steps {
		if n, ok := s.AwaitsReplicas(node); ok {
			replicas, awaited = max(replicas, n), true
		}
	}
	if !awaited {
		return nil
	}
	title := "replication from " + node
	var u upstream
	err := conn.QueryRow(ctx, `SELECT current_setting('wal_level'), current_setting('archive_mode'), current_setting('max_wal_senders')::int,
		(SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical'), pg_size_bytes(current_setting('wal_keep_size'))`).
		Scan(&u.level, &u.archive, &u.senders, &u.slots, &u.kept)
	if err != nil {
		return []scaling.Check{r.check(title, "", err, "")}
	}
	c := u.check(replicas)
	c.Name = title
	return []scaling.Check{c}
}

// upstream is what a server has for its replicas.
type upstream struct {
	level, archive string // wal_level and archive_mode
	senders, slots int    // max_wal_senders, and physical slots
	kept           int64  // wal_keep_size, in bytes
}

// check judges u for a number of replicas, 0 where it is not known.
func (u upstream) check(replicas int) scaling.Check {
	room := fmt.Sprintf("ALTER SYSTEM SET max_wal_senders = %d or more, and restart", replicas+backupSenders)
	switch {
	case u.level == "minimal":
		return scaling.Check{State: scaling.CheckFault, Detail: "wal_level is minimal: nothing can stream", Mend: "ALTER SYSTEM SET wal_level = replica, and restart"}
	case u.senders < replicas:
		return scaling.Check{State: scaling.CheckFault, Detail: fmt.Sprintf("max_wal_senders is %d, and %d replicas are to stream", u.senders, replicas), Mend: room}
	case u.senders < replicas+backupSenders:
		return scaling.Check{State: scaling.CheckWarning, Detail: fmt.Sprintf("max_wal_senders is %d: beside %d replicas there is no room for the base backup of one", u.senders, replicas), Mend: room}
	case u.kept == 0 && u.slots == 0 && u.archive == "off":
		return scaling.Check{
			State: scaling.CheckWarning, Detail: "no WAL is kept for a replica that is being made or falls behind: neither wal_keep_size, a slot nor an archive does",
			Mend: "ALTER SYSTEM SET wal_keep_size = '1GB', and pg_reload_conf(), or give each replica a slot",
		}
	}
	return scaling.Check{State: scaling.CheckOK, Detail: fmt.Sprintf("max_wal_senders %d, wal_keep_size %s, archive_mode %s, physical slots %d", u.senders, unit.Format(float64(u.kept), unit.Bytes), u.archive, u.slots)}
}
