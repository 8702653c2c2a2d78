package shard

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A fence refuses writes of the organisations on one side, by triggers that look
// at each row. It is raised while a session holds an advisory lock, so that it is
// down when that session is gone, however its process has ended; or closed, which
// stands in a table until it is lifted.
//
// A writer that a fence lets pass holds the lock shared until its transaction
// ends: once the lock is held, no write of the range is on its way.
type fence struct {
	job       *Job
	catalog   *Catalog
	node      Node
	elsewhere string // the node that has the organisations when this one is closed
}

func (j *Job) fence(c *Catalog, node Node, elsewhere string) *fence {
	return &fence{j, c, node, elsewhere}
}

// lockPatience is how long other sessions may wait behind a change of a trigger
// that waits for a writer itself; then it is tried again.
const lockPatience = 2 * time.Second

// refuseSQL makes the function that refuses a write, or returns. It reads the
// state with a lock, since a transaction with an old snapshot would not see that
// the range has been closed: there it fails to serialise, or finds nothing.
const refuseSQL = `
CREATE OR REPLACE FUNCTION scaleproof.refuse(the_move text, key bigint) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE f scaleproof.fence;
BEGIN
	IF NOT pg_try_advisory_xact_lock_shared(key) THEN
		RAISE EXCEPTION 'organisations of the move % are fenced while they are cut over', the_move
			USING ERRCODE = 'read_only_sql_transaction', HINT = 'Try again in a moment, and read the routing anew.';
	END IF;
	SELECT * INTO f FROM scaleproof.fence WHERE move = the_move FOR SHARE;
	IF f.state IS NULL THEN
		RAISE EXCEPTION 'organisations of the move % have been fenced since this transaction began', the_move
			USING ERRCODE = 'serialization_failure', HINT = 'Try again.';
	END IF;
	IF f.state = 'closed' THEN
		RAISE EXCEPTION 'organisations % are on %', f.organizations, f.elsewhere
			USING ERRCODE = 'read_only_sql_transaction', HINT = 'Read the routing anew.';
	END IF;
END $$`

// triggerFunction is the function of a table's trigger.
func (f *fence) triggerFunction(t *Table) string {
	mine := func(row string) string { return f.catalog.where(t, row) }
	return "CREATE OR REPLACE FUNCTION " + f.job.function("fence", t) + `() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ` + dollarQuote(fmt.Sprintf(`
DECLARE mine boolean := false;
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		PERFORM scaleproof.refuse(%[1]s, %[2]d);
		RETURN NULL;
	END IF;
	IF TG_OP <> 'INSERT' THEN mine := %[3]s; END IF;
	IF mine IS NOT TRUE AND TG_OP <> 'DELETE' THEN mine := %[4]s; END IF;
	IF mine THEN PERFORM scaleproof.refuse(%[1]s, %[2]d); END IF;
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	RETURN NEW;
END `, quote(f.job.config.Name), f.key(), mine("OLD"), mine("NEW")))
}

// dollarQuote quotes a function's body by a tag that does not occur in it: names
// and keys may have any characters.
func dollarQuote(body string) string {
	tag := "$body$"
	for i := 0; strings.Contains(body, tag); i++ {
		tag = fmt.Sprintf("$body%d$", i)
	}
	return tag + body + tag
}

// function names the function of a table's trigger: by the table, since its place
// among others changes as tables come and go.
func (j *Job) function(what string, t *Table) string {
	h := fnv.New32a()
	h.Write([]byte(t.String()))
	return ident("scaleproof", fmt.Sprintf("%s_%s_%08x", what, j.config.Name, h.Sum32()))
}

func (f *fence) key() int64 { return f.job.lockKey("fence") }

func (f *fence) rowTrigger() string { return "scaleproof_fence_" + f.job.config.Name }

// madeTrigger looks at the row again as it was written: other triggers may have given it
// an organisation meanwhile, and a generated column is computed behind all of them.
func (f *fence) madeTrigger() string { return "scaleproof_after_" + f.job.config.Name }
func (f *fence) bulkTrigger() string { return "scaleproof_empty_" + f.job.config.Name }

// install makes the triggers where they are not there, table by table, each of
// which waits until its writers have ended.
func (f *fence) install(ctx context.Context, conn *pgx.Conn) error {
	for _, t := range f.catalog.owned() {
		statements := []string{f.triggerFunction(t)}
		execute := " EXECUTE FUNCTION " + f.job.function("fence", t) + "()"
		triggers := [][3]string{
			{t.sql(), f.rowTrigger(), "BEFORE INSERT OR UPDATE OR DELETE ON " + t.sql() + " FOR EACH ROW" + execute},
			{t.sql(), f.madeTrigger(), "AFTER INSERT OR UPDATE ON " + t.sql() + " FOR EACH ROW" + execute},
		}
		emptied, err := t.relations(ctx, conn)
		if err != nil {
			return err
		}
		for _, name := range emptied {
			triggers = append(triggers, [3]string{name, f.bulkTrigger(), "BEFORE TRUNCATE ON " + name + " FOR EACH STATEMENT" + execute})
		}
		for _, trigger := range triggers {
			make, err := triggerSQL(ctx, conn, trigger[0], trigger[1], trigger[2])
			if err != nil {
				return err
			}
			statements = append(statements, make...)
		}
		if err := patiently(ctx, conn, statements...); err != nil {
			return fmt.Errorf("fencing %s on %s: %w", t, f.node.Name, err)
		}
	}
	return nil
}

// triggerSQL makes a trigger where it is not there: one that is would have to wait
// for readers to be made again.
func triggerSQL(ctx context.Context, conn *pgx.Conn, table, trigger, does string) ([]string, error) {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1::text::regclass AND tgname = $2)", table, trigger).Scan(&there); err != nil {
		return nil, fmt.Errorf("looking for the trigger %s of %s: %w", trigger, table, err)
	}
	if there {
		return nil, nil
	}
	return []string{"CREATE TRIGGER " + ident(trigger) + " " + does}, nil
}

// patiently runs statements in one transaction, and again while they can't get
// their locks, so that no writer has to wait for long behind them.
func patiently(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for {
		err := inTx(ctx, conn, func(tx pgx.Tx) error {
			return execAll(ctx, tx.Conn(), append([]string{fmt.Sprintf("SET LOCAL lock_timeout = %d", lockPatience.Milliseconds())}, statements...)...)
		})
		var fault *pgconn.PgError
		if err == nil || !errors.As(err, &fault) || fault.Code != "55P03" && fault.Code != "40P01" { // lock_not_available, deadlock_detected
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// state writes the fence's state.
func (f *fence) state(ctx context.Context, conn *pgx.Conn, state string) error {
	_, err := conn.Exec(ctx, `INSERT INTO scaleproof.fence VALUES ($1, $2, $3, $4)
		ON CONFLICT (move) DO UPDATE SET state = excluded.state, elsewhere = excluded.elsewhere`,
		f.job.config.Name, state, f.catalog.organizations.String(), f.elsewhere)
	if err != nil {
		return fmt.Errorf("writing the state of the fence on %s: %w", f.node.Name, err)
	}
	return nil
}

// prepare makes what a fence needs; it refuses nothing by itself.
func (f *fence) prepare(ctx context.Context, conn *pgx.Conn, state string) error {
	if err := makeLedger(ctx, conn); err != nil {
		return err
	}
	if err := patiently(ctx, conn, refuseSQL); err != nil {
		return fmt.Errorf("making the fence on %s: %w", f.node.Name, err)
	}
	if err := f.state(ctx, conn, state); err != nil {
		return err
	}
	return f.install(ctx, conn)
}

// shut closes the range, with nobody to hold the fence.
func (f *fence) shut(ctx context.Context) error {
	return f.node.with(ctx, func(conn *pgx.Conn) error { return f.prepare(ctx, conn, "closed") })
}

// closed reports whether the fence is closed.
func (f *fence) closed(ctx context.Context) (closed bool, err error) {
	err = f.node.with(ctx, func(conn *pgx.Conn) error {
		there, err := exists(ctx, conn, "scaleproof.fence")
		if err != nil || !there {
			return err
		}
		return conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM scaleproof.fence WHERE move = $1 AND state = 'closed')", f.job.config.Name).Scan(&closed)
	})
	if err != nil {
		return false, fmt.Errorf("reading the fence of %s: %w", f.node.Name, err)
	}
	return closed, nil
}

// open lets writes pass. The triggers stay.
func (f *fence) open(ctx context.Context) error {
	return f.node.with(ctx, func(conn *pgx.Conn) error {
		there, err := exists(ctx, conn, "scaleproof.fence")
		if err != nil || !there {
			return err
		}
		if _, err := conn.Exec(ctx, "UPDATE scaleproof.fence SET state = 'open' WHERE move = $1", f.job.config.Name); err != nil {
			return fmt.Errorf("opening the fence of %s: %w", f.node.Name, err)
		}
		return nil
	})
}

// lift opens the fence and takes its triggers away, for which it waits until
// nobody reads the tables.
func (f *fence) lift(ctx context.Context) error {
	if err := f.open(ctx); err != nil {
		return err
	}
	return f.node.with(ctx, func(conn *pgx.Conn) error {
		there, err := exists(ctx, conn, "scaleproof.fence")
		if err != nil || !there {
			return err
		}
		for _, t := range f.catalog.owned() {
			on, err := exists(ctx, conn, t.sql())
			if err != nil {
				return err
			}
			if !on {
				continue // the target's tables were never made
			}
			statements := []string{"DROP TRIGGER IF EXISTS " + ident(f.rowTrigger()) + " ON " + t.sql(), "DROP TRIGGER IF EXISTS " + ident(f.madeTrigger()) + " ON " + t.sql()}
			emptied, err := t.relations(ctx, conn)
			if err != nil {
				return err
			}
			for _, name := range emptied {
				statements = append(statements, "DROP TRIGGER IF EXISTS "+ident(f.bulkTrigger())+" ON "+name)
			}
			if err := patiently(ctx, conn, append(statements, "DROP FUNCTION IF EXISTS "+f.job.function("fence", t)+"()")...); err != nil {
				return fmt.Errorf("taking the fence of %s away: %w", t, err)
			}
		}
		_, err = conn.Exec(ctx, "DELETE FROM scaleproof.fence WHERE move = $1", f.job.config.Name)
		return err
	})
}

// A heldFence is raised as long as its session lives.
type heldFence struct {
	*fence
	conn   *pgx.Conn
	raised time.Time // from when on writes were refused
}

// raise refuses writes of the range from its return on, and waits until those
// that were on their way have ended.
func (f *fence) raise(ctx context.Context) (*heldFence, error) {
	conn, err := f.node.connect(ctx, nil)
	if err != nil {
		return nil, err
	}
	h := &heldFence{fence: f, conn: conn}
	closed, err := f.closed(ctx)
	if err == nil {
		err = f.prepare(ctx, conn, map[bool]string{true: "closed", false: "held"}[closed])
	}
	h.raised = f.job.opts.Now()
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT pg_advisory_lock($1)", f.key())
	}
	if err != nil {
		closeConn(conn)
		return nil, fmt.Errorf("raising the fence on %s: %w", f.node.Name, err)
	}
	return h, nil
}

// close makes the fence outlive its session. It fails where the session, and the
// fence with it, is gone.
func (h *heldFence) close(ctx context.Context) error { return h.state(ctx, h.conn, "closed") }

// release ends the session. A fence that was not closed lets writes pass.
func (h *heldFence) release() { closeConn(h.conn) }
