package validation

import (
	"fmt"
	"math"
	"strings"

	"scaleproof/internal/unit"
)

// postgresRemedy is that of pg.<node>.<what>. What is replicated can be mended on
// the primary alone.
func (w *outlookWork) postgresRemedy(s *metricSeries, node string, what []string, needed float64) remedy {
	var r remedy
	switch what[0] {
	case "connections":
		return moreOf("max_connections", node, int(math.Ceil(needed/10))*10+10) // ten for superusers
	case "replication_slots":
		return moreOf("max_replication_slots", node, int(math.Ceil(needed/10))*10)
	case "slots":
		r = boundSlots(node, max(needed, leastSlotLog))
		r.action = "find the consumer of the slot that lags most (pg_replication_slots), and mend or drop it; or " + r.action
		return r
	case "transaction_ids":
		r = remedy{
			action: "VACUUM (FREEZE) the database whose transaction ids are oldest, and find what holds its oldest transaction: a prepared transaction, a slot, or a session that is idle in one",
			note:   "Vacuuming freezes rows and holds no lock that stops reads or writes. It is of the\ndatabase that the dsn names: the first statement refuses where another one is older.",
			step:   sqlStep("freeze", node, []string{isOldest, "VACUUM (FREEZE)"}, nil, ""),
		}
	case "sequence":
		name := strings.Join(what[1:], ".")
		r = remedy{
			action: fmt.Sprintf("make the column that %s feeds a bigint", name),
			note:   "This rewrites the table under a lock that stops reads and writes: rehearse it on a\ncopy. For a large table add a bigint column, fill it in pieces, and swap the two.",
			step:   sqlStep("bigint", node, []string{widen(name)}, nil, ""),
		}
	default:
		return remedy{action: raiseTheLimit(needed, s.Unit)}
	}
	if w.standby(s, node) {
		return remedy{action: "on the primary of " + node + ": " + r.action}
	}
	return r
}

// fileSetting is the query of what the server's files say of a setting, in effect or
// not yet.
func fileSetting(name string) string {
	return fmt.Sprintf("SELECT setting FROM pg_file_settings WHERE name = '%s' ORDER BY seqno DESC LIMIT 1", name)
}

// moreOf raises a setting that takes a restart.
func moreOf(setting, node string, n int) remedy {
	r := remedy{
		action: fmt.Sprintf("ALTER SYSTEM SET %s = %d and restart", setting, n),
		note:   "It takes effect when the server is restarted. A standby needs at least as many: it\ncomes first.",
		step: sqlStep(setting, node, []string{fmt.Sprintf("ALTER SYSTEM SET %s = %d", setting, n)}, []string{"ALTER SYSTEM RESET " + setting},
			fileSetting(setting)),
	}
	if setting == "max_connections" {
		r.action += ", or put a pooler in front"
		r.note += " A pooler may serve better: scaleproof capacity pool\nsays how many connections the load needs."
	}
	return r
}

// leastSlotLog is the smallest bound of the log that slots keep, in bytes: a
// consumer that is away for a short while must find what it missed.
const leastSlotLog = 16 << 30

// boundSlots limits the log that slots hold back.
func boundSlots(node string, most float64) remedy {
	const setting = "max_slot_wal_keep_size"
	megabytes := math.Ceil(most / (1 << 20))
	return remedy{
		action: fmt.Sprintf("let slots keep no more than %s: ALTER SYSTEM SET %s = '%.0fMB'; a slot beyond that is lost to its consumer, and the disk is not full", unit.Format(megabytes*(1<<20), unit.Bytes), setting, megabytes),
		note:   "A slot that lags by more is invalidated: its consumer must begin anew. The disk\nmust have room for as much beside what it holds. Drop a slot that nobody reads.",
		step: sqlStep("slots", node, []string{fmt.Sprintf("ALTER SYSTEM SET %s = '%.0fMB'", setting, megabytes), "SELECT pg_reload_conf()"},
			[]string{"ALTER SYSTEM RESET " + setting, "SELECT pg_reload_conf()"},
			fileSetting(setting)),
	}
}

// unboundedSlot tells whether a series is the log that an inactive slot of a node
// holds back without a limit.
func (w *outlookWork) unboundedSlot(s *metricSeries) (node string, ok bool) {
	node, ok = strings.CutSuffix(strings.TrimPrefix(s.metric, "pg."), ".slots_inactive")
	if !ok || !s.fresh() || s.lapsedBy(w.past.last) {
		return node, false
	}
	limit := w.past.beside(s, "pg."+node+".slots_limit")
	return node, limit == nil || !limit.fresh()
}

// isOldest refuses in a database whose transaction ids are not the oldest of the
// server's: vacuuming it would move the limit of the server by nothing.
const isOldest = `DO $$ DECLARE oldest record; BEGIN
            SELECT datname, age(datfrozenxid) AS age INTO oldest FROM pg_database WHERE datallowconn ORDER BY age(datfrozenxid) DESC LIMIT 1;
            IF oldest.age > (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) THEN
              RAISE EXCEPTION 'the oldest transaction ids are those of database %: let the dsn name it', oldest.datname;
            END IF;
            END $$`

// widen makes the column of a sequence a bigint, whichever column that is. The
// sequence is found by its name as it stands in the metric.
func widen(sequence string) string {
	return `DO $$ DECLARE r record; BEGIN
            SELECT c.oid::regclass AS seq, d.refobjid::regclass AS tab, a.attname AS col INTO STRICT r FROM pg_class c
              JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
              JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE c.relkind = 'S' AND regexp_replace(n.nspname || '.' || c.relname, '[^A-Za-z0-9_.]', '_', 'g') = '` + sequence + `';
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE bigint', r.tab, r.col);
            EXECUTE format('ALTER SEQUENCE %s AS bigint', r.seq);
            END $$`
}

func sqlStep(name, node string, up, down []string, read string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "    - name: %s\n", name)
	if len(down) == 0 {
		b.WriteString("      irreversible: true\n")
	}
	fmt.Fprintf(&b, "      sql:\n        node: %s\n", node)
	for _, list := range []struct {
		key        string
		statements []string
	}{{"up", up}, {"down", down}} {
		if len(list.statements) > 0 {
			fmt.Fprintf(&b, "        %s:\n", list.key)
		}
		for _, s := range list.statements {
			fmt.Fprintf(&b, "          - |-\n            %s\n", s)
		}
	}
	if read != "" {
		fmt.Fprintf(&b, "        read: %s\n", read)
	}
	return b.String()
}
