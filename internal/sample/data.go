// Package sample is the application of the demo and of end-to-end tests: the
// runbook's database with skewed organisations, an HTTP service on it, and a
// proxy that runs as many replicas of the service as it is told.
package sample

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed schema.sql
var schemaSQL string

//go:embed constraints.sql
var constraintsSQL string

// Data says how much to load. The same Data gives the same rows.
type Data struct {
	Organizations int // at least 1
	Incidents     int
	Seed          uint64
	// Now is the time that the newest incident is just before; the oldest is a
	// year older.
	Now time.Time
}

// Sizes returns the number of incidents of each organisation: a Zipf law, so
// that the first has a large part of all and most have few. They add up to
// d.Incidents.
func (d Data) Sizes() []int {
	weights, sum := make([]float64, d.Organizations), 0.0
	for i := range weights {
		weights[i] = 1 / math.Pow(float64(i+1), 0.9)
		sum += weights[i]
	}
	sizes, left := make([]int, d.Organizations), d.Incidents
	for i := range sizes {
		sizes[i] = min(int(float64(d.Incidents)*weights[i]/sum), left)
		left -= sizes[i]
	}
	sizes[0] += left
	return sizes
}

// The number of teams and agent configurations of an organisation, and the
// incidents for which it has one user.
const (
	teamsPerOrganization  = 3
	configsPerOrganizaton = 2
	incidentsPerUser      = 50
)

// Email returns the address of a user, numbered from 1.
func Email(user int) string { return fmt.Sprintf("user%d@example.com", user) }

// Load makes the schema in an empty database and fills it.
func Load(ctx context.Context, dsn string, d Data) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("loading the sample data: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, schemaSQL); err != nil {
		return fmt.Errorf("making the sample schema: %w", err)
	}
	for _, table := range d.tables() {
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, table.rows); err != nil {
			return fmt.Errorf("loading the sample table %s: %w", table.name, err)
		}
	}
	if _, err := conn.Exec(ctx, constraintsSQL); err != nil {
		return fmt.Errorf("making the sample constraints: %w", err)
	}
	if _, err := conn.Exec(ctx, "VACUUM (ANALYZE)"); err != nil {
		return fmt.Errorf("analysing the sample data: %w", err)
	}
	return nil
}

type table struct {
	name    string
	columns []string
	rows    pgx.CopyFromSource
}

func (d Data) tables() []table {
	sizes := d.Sizes()
	users := firstUsers(sizes)
	return []table{
		{"organizations", []string{"id", "name", "created_at"}, d.organizations()},
		{"teams", []string{"id", "organization_id", "name"}, d.perOrganization(teamsPerOrganization, func(id, org int) []any {
			return []any{int64(id), int64(org), fmt.Sprintf("team %d", id)}
		})},
		{"users", []string{"id", "organization_id", "team_id", "email"}, d.users(users)},
		{"incidents", []string{"id", "organization_id", "team_id", "reporter_id", "title", "status", "severity", "created_at", "resolved_at"}, d.incidents(sizes, users)},
		{"agent_configs", []string{"id", "organization_id", "name", "config"}, d.perOrganization(configsPerOrganizaton, func(id, org int) []any {
			return []any{int64(id), int64(org), fmt.Sprintf("agent %d", id), map[string]any{"interval": 30 + id%60}}
		})},
	}
}

// firstUsers returns the number of the first user of each organisation, and
// behind the last one more than there are users.
func firstUsers(sizes []int) []int {
	first := []int{1}
	for _, size := range sizes {
		first = append(first, first[len(first)-1]+size/incidentsPerUser+1)
	}
	return first
}

func (d Data) organizations() pgx.CopyFromSource {
	return pgx.CopyFromSlice(d.Organizations, func(i int) ([]any, error) {
		return []any{int64(i + 1), fmt.Sprintf("organization %d", i+1), d.Now.AddDate(-2, 0, 0)}, nil
	})
}

// perOrganization gives n rows per organisation, with ids from 1.
func (d Data) perOrganization(n int, row func(id, org int) []any) pgx.CopyFromSource {
	return pgx.CopyFromSlice(d.Organizations*n, func(i int) ([]any, error) {
		return row(i+1, i/n+1), nil
	})
}

// teamOf returns one of the teams of an organisation.
func teamOf(org, n int) int64 {
	return int64((org-1)*teamsPerOrganization + n%teamsPerOrganization + 1)
}

func (d Data) users(first []int) pgx.CopyFromSource {
	org := 1
	return pgx.CopyFromSlice(first[d.Organizations]-1, func(i int) ([]any, error) {
		id := i + 1
		for id >= first[org] {
			org++
		}
		return []any{int64(id), int64(org), teamOf(org, id), Email(id)}, nil
	})
}

// incidents come in the order of their ids and times, with the organisations
// mixed, as an application would have written them.
func (d Data) incidents(sizes, firstUser []int) pgx.CopyFromSource {
	rng := rand.New(rand.NewPCG(d.Seed, 1))
	owners := make([]int32, 0, d.Incidents)
	for org, size := range sizes {
		for range size {
			owners = append(owners, int32(org+1))
		}
	}
	rng.Shuffle(len(owners), func(i, j int) { owners[i], owners[j] = owners[j], owners[i] })
	statuses := []string{"open", "acknowledged", "resolved", "resolved", "resolved"}
	step := 365 * 24 * time.Hour / time.Duration(max(d.Incidents, 1))
	return pgx.CopyFromSlice(d.Incidents, func(i int) ([]any, error) {
		org := int(owners[i])
		reporter := firstUser[org-1] + rng.IntN(firstUser[org]-firstUser[org-1])
		status := statuses[rng.IntN(len(statuses))]
		created := d.Now.Add(-time.Duration(d.Incidents-i) * step)
		var resolved *time.Time
		if status == "resolved" {
			at := created.Add(time.Duration(rng.IntN(48)) * time.Hour)
			resolved = &at
		}
		return []any{
			int64(i + 1), int64(org), teamOf(org, reporter), int64(reporter),
			fmt.Sprintf("incident %d: latency above its objective", i+1), status, int16(1 + rng.IntN(4)), created, resolved,
		}, nil
	})
}
