package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scaleproof/internal/redact"
	"scaleproof/internal/snapshot"
)

// postgres is a Store that a team shares.
type postgres struct {
	pool    *pgxpool.Pool
	secrets *redact.Secrets
}

// hasSchema asks whether the tables are there: a role that may only read can't make
// them, and need not.
const hasSchema = "SELECT to_regclass('scaleproof_history') IS NOT NULL AND to_regclass('scaleproof_baselines') IS NOT NULL"

// schema is made under a lock, since two that run CREATE ... IF NOT EXISTS at
// once can fail.
const schema = `
SELECT pg_advisory_xact_lock(7310579645082394);
CREATE TABLE IF NOT EXISTS scaleproof_history (
	id text PRIMARY KEY,
	started_at timestamptz NOT NULL,
	entry jsonb NOT NULL,
	snapshot bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS scaleproof_baselines (
	name text PRIMARY KEY,
	id text NOT NULL REFERENCES scaleproof_history
);`

func openPostgres(ctx context.Context, dsn string) (Store, error) {
	p := &postgres{secrets: &redact.Secrets{}}
	p.secrets.AddDSN(dsn)
	var err error
	if p.pool, err = pgxpool.New(ctx, dsn); err != nil {
		return nil, p.fault("opening the history", err)
	}
	var made bool
	if err = p.pool.QueryRow(ctx, hasSchema).Scan(&made); err == nil && !made {
		err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
			_, err := tx.Conn().PgConn().Exec(ctx, schema).ReadAll()
			return err
		})
	}
	if err != nil {
		p.pool.Close()
		return nil, p.fault("opening the history", err)
	}
	return p, nil
}

// fault says what was being done, without secrets.
func (p *postgres) fault(doing string, err error) error {
	if err == nil || errors.Is(err, ErrUnknown) {
		return err
	}
	return fmt.Errorf("%s: %s", doing, p.secrets.String(err.Error()))
}

// Add implements Store.
func (p *postgres) Add(ctx context.Context, s *snapshot.Snapshot, labels Labels) error {
	if err := checkName("ID", s.ID); err != nil {
		return err
	}
	entry, err := json.Marshal(entryOf(s, labels))
	if err != nil {
		return fmt.Errorf("encoding the entry of %s: %w", s.ID, err)
	}
	var whole bytes.Buffer
	if err := snapshot.Write(&whole, s); err != nil {
		return fmt.Errorf("adding to the history: %w", err)
	}
	_, err = p.pool.Exec(ctx, `INSERT INTO scaleproof_history (id, started_at, entry, snapshot) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at, entry = excluded.entry, snapshot = excluded.snapshot`,
		s.ID, s.StartedAt, entry, whole.Bytes())
	return p.fault("adding to the history", err)
}

// List implements Store.
func (p *postgres) List(ctx context.Context) ([]Entry, error) {
	rows, err := p.pool.Query(ctx, "SELECT entry FROM scaleproof_history")
	if err != nil {
		return nil, p.fault("listing the history", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entry, err error) {
		var data []byte
		if err := row.Scan(&data); err != nil {
			return e, err
		}
		return e, json.Unmarshal(data, &e)
	})
	if err != nil {
		return nil, p.fault("listing the history", err)
	}
	sortEntries(entries)
	return entries, nil
}

// Read implements Store.
func (p *postgres) Read(ctx context.Context, id string) (*snapshot.Snapshot, error) {
	if err := checkName("ID", id); err != nil {
		return nil, err
	}
	var data []byte
	err := p.pool.QueryRow(ctx, "SELECT snapshot FROM scaleproof_history WHERE id = $1", id).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading %s: %w", id, ErrUnknown)
	}
	if err != nil {
		return nil, p.fault("reading from the history", err)
	}
	s, err := snapshot.Read(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading %s from the history: %w", id, err)
	}
	return s, nil
}

// Promote implements Store.
func (p *postgres) Promote(ctx context.Context, name, id string) error {
	if err := checkBaseline(name); err != nil {
		return err
	}
	if _, err := p.Read(ctx, id); err != nil {
		return err
	}
	_, err := p.pool.Exec(ctx, `INSERT INTO scaleproof_baselines (name, id) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET id = excluded.id`, name, id)
	return p.fault("promoting "+id, err)
}

// Baselines implements Store.
func (p *postgres) Baselines(ctx context.Context) (map[string]string, error) {
	rows, err := p.pool.Query(ctx, "SELECT name, id FROM scaleproof_baselines")
	if err != nil {
		return nil, p.fault("reading the baselines", err)
	}
	baselines := map[string]string{}
	var name, id string
	_, err = pgx.ForEachRow(rows, []any{&name, &id}, func() error { baselines[name] = id; return nil })
	return baselines, p.fault("reading the baselines", err)
}

// Close implements Store.
func (p *postgres) Close() error {
	p.pool.Close()
	return nil
}
