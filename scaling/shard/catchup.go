package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// catchUpInterval is the time between looks for the marker, and lookInterval that
// between those at what the target does meanwhile.
const (
	catchUpInterval = 20 * time.Millisecond
	lookInterval    = time.Second
)

// defaultStall is how long the target may make no progress where the plan names no
// bound.
const defaultStall = 2 * time.Minute

// A follower waits until the target has what was written on the source.
type follower struct {
	job            *Job
	catalog        *Catalog
	source, target *pgx.Conn
	failed         int64 // attempts of the target, before this wait
	furthest       int64 // the log position that the target has come to
	since          time.Time
	stands         string // where it stood at the last look
}

// catchUp waits until the target has all that was committed on the source before
// it was called. Applying is in the order of commits, so that it has once a marker
// is there which is written now. A target that does not come further is waited for no
// longer than Config.Stall.
func (j *Job) catchUp(ctx context.Context, c *Catalog) error {
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
			failed, err := j.applyFailures(ctx, target)
			if err != nil {
				return err
			}
			f := &follower{job: j, catalog: c, source: source, target: target, failed: failed, since: j.opts.Now()}
			return f.await(ctx, token)
		})
	})
}

// await waits for the marker.
func (f *follower) await(ctx context.Context, token int64) error {
	ticker := time.NewTicker(catchUpInterval)
	defer ticker.Stop()
	var looked time.Time
	for {
		var come bool
		err := f.target.QueryRow(ctx, "SELECT EXISTS (SELECT FROM scaleproof.marker WHERE move = $1 AND token = $2)", f.job.config.Name, token).Scan(&come)
		if err == nil && come {
			return nil
		}
		if err == nil && time.Since(looked) >= lookInterval {
			looked = time.Now()
			err = f.look(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return f.ended(context.Cause(ctx))
		case err != nil:
			return fmt.Errorf("waiting for the writes to come: %w", err)
		}
		select {
		case <-ctx.Done():
			return f.ended(context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// ended says where the target stood when the wait was given up.
func (f *follower) ended(cause error) error {
	if f.stands == "" {
		return fmt.Errorf("waiting for the writes to come: %w", cause)
	}
	return fmt.Errorf("waiting for the writes to come: %w (%s)", cause, f.stands)
}

// look tells how far the target is behind, and fails where it can't go on, or does
// not for longer than it may.
func (f *follower) look(ctx context.Context) error {
	j := f.job
	lag, confirmed, err := j.lagOf(ctx, f.source)
	if err != nil {
		return err
	}
	var enabled bool
	if err := f.target.QueryRow(ctx, "SELECT coalesce(bool_or(subenabled), false) FROM pg_subscription WHERE subname = $1", j.slot()).Scan(&enabled); err != nil {
		return fmt.Errorf("reading the subscription: %w", err)
	}
	if !enabled {
		return fmt.Errorf("the subscription %s on %s is not there, or disabled: see the target's log", j.slot(), j.target.Name)
	}
	failed, err := j.applyFailures(ctx, f.target)
	if err != nil {
		return err
	}
	if failed >= f.failed+maxApplyFailures {
		return f.givenUp(ctx, fmt.Errorf("%s can't apply the writes that it follows, and has failed %d times since: its log says why: mend that, or abandon the move", j.target.Name, failed-f.failed))
	}
	received, worker, err := f.worker(ctx)
	if err != nil {
		return err
	}
	f.stands = fmt.Sprintf("%s is %d bytes of log behind; %s", j.target.Name, lag, worker)
	if n := failed - f.failed; n > 0 {
		f.stands += fmt.Sprintf("; it has failed to apply %d times", n)
	}
	now := j.opts.Now()
	if furthest := max(confirmed, received); furthest > f.furthest {
		f.furthest, f.since = furthest, now
	}
	if stall := j.config.stall(); now.Sub(f.since) >= stall {
		return f.givenUp(ctx, fmt.Errorf("no progress for %v, the limit (shard.stall): %s: its log may say more: mend that, or abandon the move", stall, f.stands))
	}
	j.opts.OnProgress(Progress{Doing: "catching up", Bytes: lag})
	return nil
}

// givenUp says of a wait that is in vain whether a new partition is the reason.
func (f *follower) givenUp(ctx context.Context, why error) error {
	return errors.Join(why, f.job.checkPartitions(ctx, f.catalog, f.job.source, f.job.target))
}

const workerSQL = `
SELECT coalesce(pg_wal_lsn_diff(s.received_lsn, '0/0'), 0)::bigint, s.pid, coalesce(a.wait_event_type || ': ' || a.wait_event, ''),
	(SELECT string_agg(b::text, ', ') FROM unnest(pg_blocking_pids(s.pid)) b)
FROM pg_stat_subscription s LEFT JOIN pg_stat_activity a ON a.pid = s.pid WHERE s.subname = $1 AND s.relid IS NULL AND s.pid IS NOT NULL
ORDER BY s.received_lsn DESC NULLS LAST LIMIT 1`

// worker returns the log position that the target's worker has received, 0 where there
// is none, and what it does, in words.
func (f *follower) worker(ctx context.Context) (received int64, does string, err error) {
	var pid int32
	var waits string
	var blockers *string
	err = f.target.QueryRow(ctx, workerSQL, f.job.slot()).Scan(&received, &pid, &waits, &blockers)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, fmt.Sprintf("no worker of the subscription runs there, since it ended with an error, can't reach %s, or finds no free max_logical_replication_workers", f.job.source.Name), nil
	case err != nil:
		return 0, "", fmt.Errorf("reading the worker of the subscription: %w", err)
	case blockers != nil:
		return received, fmt.Sprintf("its worker %d waits for a lock that the sessions %s hold", pid, *blockers), nil
	case waits != "":
		return received, fmt.Sprintf("its worker %d waits for %s", pid, waits), nil
	}
	return received, fmt.Sprintf("its worker %d works", pid), nil
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

// lagOf returns the bytes of log that the target has not confirmed, and the position
// up to which it has.
func (j *Job) lagOf(ctx context.Context, source *pgx.Conn) (bytes, confirmed int64, err error) {
	var lag, position *int64
	var lost bool
	err = source.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint, pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint,
		coalesce(wal_status, '') = 'lost' FROM pg_replication_slots WHERE slot_name = $1`, j.slot()).Scan(&lag, &position, &lost)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && (lost || lag == nil):
		return 0, 0, fmt.Errorf("%s: %w: abandon the move, and begin again", j.slot(), errNoSlot)
	case err != nil:
		return 0, 0, fmt.Errorf("reading the slot %s: %w", j.slot(), err)
	}
	return *lag, *position, nil
}
