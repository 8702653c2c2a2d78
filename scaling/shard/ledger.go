package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Phase is how far a move is.
type Phase string

// The phases, in their order. A move that goes back ends at Copied again, from
// which it can be cut over once more or abandoned.
const (
	None      Phase = "none"      // nothing has begun
	Copying   Phase = "copying"   // rows go over
	Copied    Phase = "copied"    // all rows of a snapshot are on the target
	Following Phase = "following" // and writes follow by replication
	Closing   Phase = "closing"   // the source is closed to the range, the routing not switched for sure
	Moved     Phase = "moved"     // the target has the range
	Returning Phase = "returning" // the target is closed, the routing not switched back for sure
	Cleaning  Phase = "cleaning"  // rows go from the source
	Cleaned   Phase = "cleaned"   // there is no way back
)

// A State is what the ledger, on the target, has of a move.
type State struct {
	Name          string     `json:"name"`
	Phase         Phase      `json:"phase"`
	Organizations string     `json:"organizations,omitempty"`
	Mode          Mode       `json:"mode,omitempty"`
	SchemaMade    bool       `json:"schema_made,omitempty"` // by this move
	Snapshots     int        `json:"snapshots,omitempty"`   // from which rows were copied
	Rows          int64      `json:"rows,omitempty"`        // copied
	ChunksDone    int        `json:"chunks_done,omitempty"`
	Chunks        int        `json:"chunks,omitempty"`
	StartedAt     *time.Time `json:"started_at,omitempty"`
	CutAt         *time.Time `json:"cut_at,omitempty"`
	VerifiedAt    *time.Time `json:"verified_at,omitempty"` // since the cut-over
	// FenceSeconds is how long writes of the range were refused at the cut-over; of
	// one whose process was killed, at most.
	FenceSeconds float64 `json:"fence_seconds,omitempty"`
	// FencedAt is from when on the last fence refused writes.
	FencedAt *time.Time `json:"fenced_at,omitempty"`
	// Routed is that the routing named the source as the one that had the range,
	// before the cut-over.
	Routed bool `json:"routed,omitempty"`
}

// ledgerDDL makes the ledger. It may run again.
const ledgerDDL = `
CREATE SCHEMA IF NOT EXISTS scaleproof;
CREATE TABLE IF NOT EXISTS scaleproof.move (
	name text PRIMARY KEY, phase text NOT NULL, organizations text NOT NULL, predicates jsonb NOT NULL DEFAULT '{}', mode text NOT NULL,
	schema_made boolean NOT NULL DEFAULT false, empty boolean NOT NULL DEFAULT false, snapshots int NOT NULL DEFAULT 0, started_at timestamptz NOT NULL DEFAULT now(),
	cut_at timestamptz, verified_at timestamptz, fence_seconds float8 NOT NULL DEFAULT 0,
	fenced_at timestamptz, routed boolean NOT NULL DEFAULT false);
CREATE TABLE IF NOT EXISTS scaleproof.chunk (
	move text NOT NULL, tbl text NOT NULL, chunk int NOT NULL, leaf text NOT NULL, condition text NOT NULL,
	estimate float8 NOT NULL, rows bigint, done_at timestamptz, PRIMARY KEY (move, tbl, chunk));
CREATE TABLE IF NOT EXISTS scaleproof.entry (
	move text NOT NULL, entry text NOT NULL, PRIMARY KEY (move, entry));
CREATE TABLE IF NOT EXISTS scaleproof.gone (
	move text NOT NULL, tbl text NOT NULL, key text[] NOT NULL);
CREATE TABLE IF NOT EXISTS scaleproof.touched (
	move text NOT NULL, tbl text NOT NULL, key text[], crosses boolean NOT NULL);
CREATE TABLE IF NOT EXISTS scaleproof.setting (
	move text NOT NULL, statement text NOT NULL, PRIMARY KEY (move, statement));
CREATE TABLE IF NOT EXISTS scaleproof.fence (
	move text PRIMARY KEY, state text NOT NULL, organizations text NOT NULL, elsewhere text NOT NULL);`

// makeLedger makes the schema scaleproof on a node. Two moves may do so at once.
func makeLedger(ctx context.Context, conn *pgx.Conn) error {
	return inTx(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('scaleproof ledger', 0))"); err != nil {
			return fmt.Errorf("making the ledger: %w", err)
		}
		if _, err := tx.Conn().PgConn().Exec(ctx, ledgerDDL).ReadAll(); err != nil {
			return fmt.Errorf("making the ledger: %w", err)
		}
		return nil
	})
}

const stateSQL = `
SELECT name, phase, organizations, mode, schema_made, snapshots, started_at, cut_at, verified_at, fence_seconds, fenced_at, routed,
	(SELECT coalesce(sum(greatest(rows, 0)), 0)::bigint FROM scaleproof.chunk c WHERE c.move = m.name),
	(SELECT count(done_at) FROM scaleproof.chunk c WHERE c.move = m.name), (SELECT count(*) FROM scaleproof.chunk c WHERE c.move = m.name)
FROM scaleproof.move m WHERE name = $1`

// readState reads the state of a move; where the ledger has none, its phase is
// None.
func readState(ctx context.Context, conn *pgx.Conn, name string) (State, error) {
	s := State{}
	err := conn.QueryRow(ctx, stateSQL, name).Scan(&s.Name, &s.Phase, &s.Organizations, &s.Mode, &s.SchemaMade, &s.Snapshots,
		&s.StartedAt, &s.CutAt, &s.VerifiedAt, &s.FenceSeconds, &s.FencedAt, &s.Routed, &s.Rows, &s.ChunksDone, &s.Chunks)
	var fault *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows), errors.As(err, &fault) && (fault.Code == "42P01" || fault.Code == "3F000"): // no such table, or schema
		return State{Name: name, Phase: None}, nil
	case err != nil:
		return s, fmt.Errorf("reading the ledger: %w", err)
	}
	return s, nil
}

// State reads how far the move is.
func (j *Job) State(ctx context.Context) (State, error) {
	defer j.release()
	return j.state(ctx)
}

func (j *Job) state(ctx context.Context) (s State, err error) {
	err = j.target.with(ctx, func(conn *pgx.Conn) error {
		s, err = readState(ctx, conn, j.config.Name)
		return err
	})
	return s, err
}

// PhaseError is that a move is not where a command needs it.
type PhaseError struct {
	Phase Phase
	Mend  string // what to do
}

func (e *PhaseError) Error() string {
	return fmt.Sprintf("the move is %s: %s", phaseText(e.Phase), e.Mend)
}

func phaseText(p Phase) string {
	if p == None {
		return "not begun"
	}
	return "at the phase " + string(p)
}

// setPhase writes the phase, and what set says beside it, such as
// "cut_at = now()".
func (j *Job) setPhase(ctx context.Context, conn *pgx.Conn, phase Phase, set string) error {
	if set != "" {
		set = ", " + set
	}
	if _, err := conn.Exec(ctx, "UPDATE scaleproof.move SET phase = $2"+set+" WHERE name = $1", j.config.Name, string(phase)); err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	return nil
}

// begin enters the move in the ledger, or makes sure that it is the same one.
func (j *Job) begin(ctx context.Context, conn *pgx.Conn, c *Catalog) (State, error) {
	if err := makeLedger(ctx, conn); err != nil {
		return State{}, err
	}
	s, err := readState(ctx, conn, j.config.Name)
	if err != nil {
		return s, err
	}
	if s.Phase == None {
		predicates, err := json.Marshal(c.predicates())
		if err != nil {
			return s, fmt.Errorf("writing the ledger: %w", err)
		}
		empty, err := emptyTables(ctx, conn, c)
		if err != nil {
			return s, err
		}
		if _, err := conn.Exec(ctx, "INSERT INTO scaleproof.move (name, phase, organizations, predicates, mode, empty) VALUES ($1, $2, $3, $4, $5, $6)",
			j.config.Name, string(Copying), c.organizations.String(), string(predicates), string(j.config.mode()), empty); err != nil {
			return s, fmt.Errorf("writing the ledger: %w", err)
		}
		return readState(ctx, conn, j.config.Name)
	}
	if s.Organizations != c.organizations.String() || s.Mode != j.config.mode() {
		return s, fmt.Errorf("the ledger of %s has the move %s of organisations %s, %s: this plan is of %s, %s: give it another name, or abandon the other one",
			j.target.Name, s.Name, s.Organizations, s.Mode, c.organizations, j.config.mode())
	}
	return s, nil
}

// emptyTables reports whether a target had nobody's rows before a move.
func emptyTables(ctx context.Context, conn *pgx.Conn, c *Catalog) (bool, error) {
	for _, t := range c.owned() {
		there, err := exists(ctx, conn, t.sql())
		if err != nil {
			return false, err
		}
		var filled bool
		if there {
			err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+t.from()+")").Scan(&filled)
		}
		if err != nil || filled {
			return false, err
		}
	}
	return true, nil
}

// predicates are the conditions of each table's rows, which stay in the ledger to
// tell later moves which rows the target has.
func (c *Catalog) predicates() map[string]string {
	all := map[string]string{}
	for _, t := range c.owned() {
		all[t.String()] = c.where(t, "t")
	}
	return all
}
