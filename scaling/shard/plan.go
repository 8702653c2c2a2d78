package shard

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// A Plan is what a move would do, and what it should know before.
type Plan struct {
	Name          string        `json:"name"`
	Mode          Mode          `json:"mode"`
	Source        string        `json:"source"`
	Target        string        `json:"target"`
	Organizations Organizations `json:"organizations"`
	Tables        []TablePlan   `json:"tables"`
	Sizes         []Size        `json:"sizes"` // of all organisations, by key
	Moving        Share         `json:"moving"`
	Proposal      *Proposal     `json:"proposal,omitempty"`
	// Whole are the tables that are compared as a whole behind the fence.
	Whole    []WholeTable `json:"whole,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	// Faults would make the move fail.
	Faults []string `json:"faults,omitempty"`
}

// A TablePlan is what would be done with a table.
type TablePlan struct {
	Table string `json:"table"`
	Class Class  `json:"class"`
	How   string `json:"how"`  // how its rows belong to organisations, in words
	Rows  int64  `json:"rows"` // that move; of an omitted table 0
	Bytes int64  `json:"bytes"`
	Of    int64  `json:"of"` // rows in all
}

// Plan reads both sides and changes nothing. shards is for how many a balanced
// cut is proposed; zero: as many as the configuration says, or none.
func (j *Job) Plan(ctx context.Context, shards int) (*Plan, error) {
	defer j.release()
	c := j.config
	p := &Plan{Name: c.Name, Mode: c.mode(), Source: j.source.Name, Target: j.target.Name, Organizations: c.Organizations}
	err := j.source.with(ctx, func(conn *pgx.Conn) error {
		catalog, err := j.catalogOf(ctx, conn)
		if err != nil {
			return err
		}
		if p.Whole, err = j.wholeTables(ctx, conn, catalog); err != nil {
			return err
		}
		if p.Warnings, err = j.warnings(ctx, catalog, p.Whole); err != nil {
			return err
		}
		for _, t := range catalog.Tables {
			tp, err := j.planTable(ctx, conn, catalog, t)
			if err != nil {
				return err
			}
			p.Tables = append(p.Tables, tp)
		}
		if p.Sizes, err = j.sizes(ctx, conn, catalog); err != nil {
			return err
		}
		if p.Moving, err = j.moving(ctx, conn, catalog, p.Sizes); err != nil {
			return err
		}
		if p.Faults, err = j.sourceFaults(ctx, conn, catalog); err != nil {
			return err
		}
		targetFaults, err := j.targetFaults(ctx, catalog)
		p.Faults = append(p.Faults, targetFaults...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if p.Moving.Count == 0 {
		p.Faults = append(p.Faults, fmt.Sprintf("no organisation of %s is on %s", c.Organizations, j.source.Name))
	}
	if shards = orDefault(shards, c.Shards); shards > 0 {
		proposal := propose(p.Sizes, shards)
		p.Proposal = &proposal
	}
	return p, nil
}

func (j *Job) planTable(ctx context.Context, conn *pgx.Conn, c *Catalog, t *Table) (TablePlan, error) {
	p := TablePlan{Table: t.String(), Class: t.Class, How: t.how()}
	if t.Class == Omitted {
		return p, nil
	}
	query := fmt.Sprintf("SELECT count(*) FILTER (WHERE m), count(*), coalesce(sum(b) FILTER (WHERE m), 0)::bigint FROM (SELECT %s AS m, pg_column_size(t.*) AS b FROM %s t OFFSET 0) s",
		c.where(t, "t"), t.from())
	if err := conn.QueryRow(ctx, query).Scan(&p.Rows, &p.Of, &p.Bytes); err != nil {
		return p, fmt.Errorf("counting %s: %w", t, err)
	}
	return p, nil
}

// how says how a table's rows belong to organisations.
func (t *Table) how() string {
	switch t.Class {
	case Root:
		return "one row each, by " + t.Column
	case ByColumn:
		return t.Column
	case ByKey:
		return t.Via.Name + " to " + t.Via.To
	case Reference:
		return "shared by all"
	}
	return "stays"
}

// sizes measures each organisation, in the order of their keys.
func (j *Job) sizes(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]Size, error) {
	by := map[string]*Size{}
	activity, err := j.activity(ctx, conn, c)
	if err != nil {
		return nil, err
	}
	for _, t := range c.owned() {
		query := fmt.Sprintf("SELECT o::text, count(*), sum(b)::bigint FROM (SELECT %s AS o, pg_column_size(t.*) AS b FROM %s t OFFSET 0) s WHERE o IS NOT NULL GROUP BY o",
			c.organization(t, "t", 1), t.from())
		rows, err := conn.Query(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("measuring the organisations in %s: %w", t, err)
		}
		sizes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
			Organization string
			Rows, Bytes  int64
		}])
		if err != nil {
			return nil, fmt.Errorf("measuring the organisations in %s: %w", t, err)
		}
		var all int64
		for _, s := range sizes {
			all += s.Rows
		}
		for _, s := range sizes {
			size := by[s.Organization]
			if size == nil {
				size = &Size{Organization: s.Organization}
				by[s.Organization] = size
			}
			size.Rows, size.Bytes = size.Rows+s.Rows, size.Bytes+s.Bytes
			size.Load += activity[t] * float64(s.Rows) / float64(all)
		}
	}
	return j.inOrder(ctx, conn, c, by)
}

// activity returns each table's part of the rows that all tables have read and
// written since their statistics were reset.
func (j *Job) activity(ctx context.Context, conn *pgx.Conn, c *Catalog) (map[*Table]float64, error) {
	parts, sum := map[*Table]float64{}, 0.0
	for _, t := range c.owned() {
		var n float64
		err := conn.QueryRow(ctx, `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0) + n_tup_ins + n_tup_upd + n_tup_del), 0)::float8
			FROM pg_stat_all_tables WHERE relid = $1 OR relid IN (SELECT relid FROM pg_partition_tree($1))`, t.oid).Scan(&n)
		if err != nil {
			return nil, fmt.Errorf("reading the activity of %s: %w", t, err)
		}
		parts[t], sum = n, sum+n
	}
	for t := range parts {
		if sum > 0 {
			parts[t] /= sum
		}
	}
	return parts, nil
}

// inOrder sorts organisations by their key as a range of the plan does, and puts
// the measured traffic in the place of the estimated load where there is one.
func (j *Job) inOrder(ctx context.Context, conn *pgx.Conn, c *Catalog, by map[string]*Size) ([]Size, error) {
	keys := make([]string, 0, len(by))
	for key := range by {
		keys = append(keys, key)
	}
	order := "k::" + string(c.key)
	if c.key.isText() {
		order = `k COLLATE "C"`
	}
	rows, err := conn.Query(ctx, "SELECT k FROM unnest($1::text[]) k ORDER BY "+order, keys)
	if err != nil {
		return nil, fmt.Errorf("sorting the organisations: %w", err)
	}
	if keys, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, fmt.Errorf("sorting the organisations: %w", err)
	}
	traffic := 0.0
	for _, rate := range j.config.Traffic {
		traffic += rate
	}
	sizes := make([]Size, 0, len(keys))
	for _, key := range keys {
		s := *by[key]
		if traffic > 0 {
			s.Load = j.config.Traffic[key] / traffic
		}
		sizes = append(sizes, s)
	}
	return sizes, nil
}

// moving adds up the organisations that move.
func (j *Job) moving(ctx context.Context, conn *pgx.Conn, c *Catalog, sizes []Size) (Share, error) {
	s := Share{Organizations: c.organizations}
	keys := make([]string, len(sizes))
	for i := range sizes {
		keys[i] = sizes[i].Organization
	}
	rows, err := conn.Query(ctx, "SELECT k::text FROM unnest($1::text[]) u, LATERAL (SELECT u::"+string(c.key)+" AS k) v WHERE "+c.organizations.where("v.k", c.key), keys)
	if err != nil {
		return s, fmt.Errorf("reading the organisations of the plan: %w", err)
	}
	in, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return s, fmt.Errorf("reading the organisations of the plan: %w", err)
	}
	slices.Sort(in)
	weights := weightsOf(sizes)
	for i, size := range sizes {
		if _, found := slices.BinarySearch(in, size.Organization); found {
			s.add(size, weights[i])
		}
	}
	return s, nil
}
