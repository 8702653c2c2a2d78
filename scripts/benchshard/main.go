// Command benchshard compares a move of organisations with what one would do by
// hand: its copy with psql COPY | psql COPY table after table, and its check of
// both sides with one read of the table by count(*) and sum(hashtextextended()).
//
// scripts/bench-shard.sh runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/stats"
	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
	"scaleproof/scaling/shard"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchshard:", err)
		os.Exit(1)
	}
}

type settings struct {
	copyRows, checkRows int64
	rounds              int
	// inner makes this process do one phase, so that its memory can be measured.
	inner string
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("benchshard", flag.ContinueOnError)
	var s settings
	flags.Int64Var(&s.copyRows, "copy-rows", 2_000_000, "incidents that are copied; 0: none")
	flags.Int64Var(&s.checkRows, "check-rows", 10_000_000, "incidents that are checked; 0: none")
	flags.IntVar(&s.rounds, "rounds", 3, "measurements of each, of which the median counts")
	flags.StringVar(&s.inner, "inner", "", "do one phase, and print what it came to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.inner != "" {
		return phase(s.inner, stdout)
	}
	server, err := testpg.Start(context.Background(), testpg.Options{Settings: map[string]string{"max_wal_size": "16GB", "checkpoint_timeout": "1h"}})
	if err != nil {
		return err
	}
	b := &bench{s, server, stdout}
	err = b.copies()
	if err == nil {
		err = b.checks()
	}
	return errors.Join(err, server.Stop())
}

// schema is the runbook's, and rows what it is filled with: 2,000 organisations
// of which the first has a tenth of the incidents.
const schema = `
CREATE TABLE organizations (id bigint PRIMARY KEY, name text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE users (id bigint PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations, email text NOT NULL);
CREATE TABLE incidents (id bigint PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations, reporter_id bigint NOT NULL REFERENCES users, title text NOT NULL,
	status text NOT NULL, severity smallint NOT NULL, created_at timestamptz NOT NULL, resolved_at timestamptz);`

const rows = `
SET session_replication_role = replica;
INSERT INTO organizations SELECT i, 'organization ' || i, '2024-01-01' FROM generate_series(1, 2000) i;
INSERT INTO users SELECT i, 1 + i %% 2000, 'user' || i || '@example.com' FROM generate_series(1, 40000) i;
INSERT INTO incidents SELECT i, CASE WHEN i %% 10 = 0 THEN 1 ELSE 1 + (i::bigint * 7919) %% 2000 END, 1 + i %% 40000, 'incident ' || i || ': latency above its objective', 'resolved', i %% 4, '2024-01-01'::timestamptz + i * interval '15 seconds', '2025-01-01' FROM generate_series(1, %d) i;
RESET session_replication_role;
VACUUM (ANALYZE);`

type bench struct {
	settings
	server *testpg.Server
	out    io.Writer
}

// load fills a new database.
func (b *bench) load(name string, incidents int64) error {
	ctx := context.Background()
	if err := b.server.Execute(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
		return err
	}
	statements := append([]string{schema}, strings.Split(fmt.Sprintf(rows, incidents), ";\n")...)
	conn, err := pgx.Connect(ctx, b.server.DSN(name))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("loading %s: %w", name, err)
		}
	}
	return nil
}

// result is what an inner process prints.
type result struct {
	Rows    int64
	Seconds float64
	maxRSS  float64 // bytes
}

// self runs one phase in a process of its own.
func (b *bench) self(phase, source, target string) (r result, err error) {
	cmd := exec.Command(os.Args[0], "-inner", phase)
	cmd.Env = append(os.Environ(), "BENCHSHARD_SOURCE="+b.server.DSN(source), "BENCHSHARD_TARGET="+b.server.DSN(target), "PATH="+b.server.BinDir+":"+os.Getenv("PATH"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("phase %s: %w", phase, err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.maxRSS = float64(usage.Maxrss) * 1024 // Linux counts in KiB
	}
	return r, json.Unmarshal(out, &r)
}

// phase is the inner process.
func phase(name string, stdout io.Writer) error {
	ctx := context.Background()
	job, err := shard.New(shard.Config{
		Name: "bench", Target: "target", Organizations: shard.Organizations{From: "1"}, Workers: 2,
	}, map[string]string{"primary": os.Getenv("BENCHSHARD_SOURCE"), "target": os.Getenv("BENCHSHARD_TARGET")}, shard.Options{Environ: os.Environ(), Now: time.Now})
	if err != nil {
		return err
	}
	var r result
	if name == "move" {
		m, err := job.Move(ctx)
		if err != nil {
			return err
		}
		r = result{Rows: m.Copied, Seconds: m.CopySeconds}
	} else {
		v, err := job.Verify(ctx)
		if err != nil {
			return err
		}
		if !v.Equal {
			return errors.New(v.Summary())
		}
		r = result{Rows: v.Rows, Seconds: v.ChecksumSeconds}
	}
	return json.NewEncoder(stdout).Encode(r)
}

// copies compares the copies.
func (b *bench) copies() error {
	if b.copyRows == 0 {
		return nil
	}
	if err := b.load("source", b.copyRows); err != nil {
		return err
	}
	var ours, theirs, ratios []float64
	var rss float64
	for range b.rounds {
		if err := b.fresh("by_hand", "by_move"); err != nil {
			return err
		}
		seconds, err := b.byHand("source", "by_hand")
		if err != nil {
			return err
		}
		r, err := b.self("move", "source", "by_move")
		if err != nil {
			return err
		}
		rss = max(rss, r.maxRSS)
		ours, theirs = append(ours, float64(r.Rows)/r.Seconds), append(theirs, float64(r.Rows)/seconds)
		ratios = append(ratios, seconds/r.Seconds)
	}
	fmt.Fprintf(b.out, "copy of %s rows, 2 workers: %s, psql | psql: %s, ratio %.2f (%.2f to %.2f); memory at most %s\n", unit.Format(float64(b.copyRows), unit.Count),
		unit.Format(stats.Median(ours), unit.PerSecond), unit.Format(stats.Median(theirs), unit.PerSecond), stats.Median(ratios), slices.Min(ratios), slices.Max(ratios), unit.Format(rss, unit.Bytes))
	return nil
}

// fresh makes empty databases.
func (b *bench) fresh(names ...string) error {
	for _, name := range names {
		for _, sql := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
			if err := b.server.Execute(context.Background(), "postgres", sql); err != nil {
				return err
			}
		}
	}
	return b.server.Execute(context.Background(), "postgres", "CHECKPOINT")
}

// byHand copies table after table, and returns the seconds that it took, without
// making the tables.
func (b *bench) byHand(source, target string) (float64, error) {
	psql, dump := b.program("psql"), b.program("pg_dump")
	shell := func(script string) error {
		cmd := exec.Command("sh", "-ec", script)
		cmd.Env = append(os.Environ(), "SOURCE="+b.server.DSN(source), "TARGET="+b.server.DSN(target))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := shell(dump + ` --section=pre-data "$SOURCE" | ` + psql + ` -q "$TARGET" >/dev/null`); err != nil {
		return 0, err
	}
	began := time.Now()
	for _, t := range []struct{ table, column string }{{"organizations", "id"}, {"users", "organization_id"}, {"incidents", "organization_id"}} {
		if err := shell(fmt.Sprintf(`%[1]s "$SOURCE" -c "COPY (SELECT * FROM %[2]s WHERE %[3]s >= 1) TO STDOUT" | %[1]s "$TARGET" -c "COPY %[2]s FROM STDIN"`, psql, t.table, t.column)); err != nil {
			return 0, err
		}
	}
	return time.Since(began).Seconds(), nil
}

// program is one of the server's clients, or what PATH has.
func (b *bench) program(name string) string {
	if path := filepath.Join(b.server.BinDir, name); exists(path) {
		return path
	}
	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// checks compares the checks.
func (b *bench) checks() error {
	if b.checkRows == 0 {
		return nil
	}
	for _, name := range []string{"source", "by_hand", "by_move"} {
		if err := b.server.Execute(context.Background(), "postgres", "DROP DATABASE IF EXISTS "+name); err != nil {
			return err
		}
	}
	if err := b.load("source", b.checkRows); err != nil {
		return err
	}
	if err := b.fresh("by_move"); err != nil {
		return err
	}
	if _, err := b.self("move", "source", "by_move"); err != nil {
		return err
	}
	if err := b.server.Execute(context.Background(), "by_move", "VACUUM"); err != nil {
		return err
	}
	var ours, parallel, single []float64
	var rss float64
	for range b.rounds {
		r, err := b.self("verify", "source", "by_move")
		if err != nil {
			return err
		}
		ours, rss = append(ours, r.Seconds), max(rss, r.maxRSS)
		for workers, to := range map[int]*[]float64{0: &single, 2: &parallel} {
			seconds, err := b.read(workers)
			if err != nil {
				return err
			}
			*to = append(*to, seconds)
		}
	}
	fmt.Fprintf(b.out, "check of %s rows on both sides: %s; one read of one side: %s (ratio %.2f), by Postgres' parallel workers: %s (ratio %.2f); memory at most %s\n",
		unit.Format(float64(b.checkRows), unit.Count), unit.Format(stats.Median(ours), unit.Seconds), unit.Format(stats.Median(single), unit.Seconds), stats.Median(single)/stats.Median(ours),
		unit.Format(stats.Median(parallel), unit.Seconds), stats.Median(parallel)/stats.Median(ours), unit.Format(rss, unit.Bytes))
	return nil
}

// read reads the table once, with so many parallel workers.
func (b *bench) read(workers int) (float64, error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, b.server.DSN("source"))
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, fmt.Sprintf("SET max_parallel_workers_per_gather = %d", workers)); err != nil {
		return 0, err
	}
	began := time.Now()
	var n int64
	var sum string
	err = conn.QueryRow(ctx, "SELECT count(*), sum(hashtextextended(t::text, 0))::text FROM incidents t").Scan(&n, &sum)
	return time.Since(began).Seconds(), err
}
