package shard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// A comparer compares tables of two sides.
type comparer struct {
	catalog  *Catalog
	a, b     side // a is what should be
	workers  int
	typed    bool
	progress func(rows int64)
	// catchUp waits until b has what a has now, where b follows; nil: it does not.
	catchUp func(context.Context) error
}

// comparer returns one of the source and the target, or with the sides changed.
func (j *Job) comparer(ctx context.Context, c *Catalog, a, b side) (*comparer, error) {
	k := &comparer{catalog: c, a: a, b: b, workers: max(1, j.config.workers()/2), typed: true, progress: func(int64) {}}
	for _, s := range []side{a, b} {
		err := s.node.with(ctx, func(conn *pgx.Conn) error {
			version, err := serverVersion(ctx, conn)
			k.typed = k.typed && version >= typedVersion
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return k, nil
}

// A tableComparison is what a comparison of one table came to.
type tableComparison struct {
	hasher    hasher
	condition string // on the row t: those that were compared; empty: all
	a, b      digest // of all rows
	differing []int  // buckets
	changing  int    // rows: see followed
}

// compare compares the rows of one table on both sides at once.
func (k *comparer) compare(ctx context.Context, t *Table, estimate int64) (tableComparison, error) {
	r := tableComparison{hasher: hasher{t, bucketsFor(t, estimate), k.typed}}
	condition := k.catalog.where(t, "t")
	var ds [2]digests
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range []side{k.a, k.b} {
		group.Go(func() (err error) {
			ds[i], err = s.digestTable(ctx, r.hasher, condition, k.workers, k.progress)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return r, err
	}
	for b := range r.hasher.buckets {
		x, y := ds[0][b], ds[1][b]
		r.a.add(x)
		r.b.add(y)
		if x != y {
			r.differing = append(r.differing, b)
		}
	}
	return r, nil
}

// compareSome compares the rows that a condition takes, which should be few.
func (k *comparer) compareSome(ctx context.Context, t *Table, condition string) (tableComparison, error) {
	r := tableComparison{hasher: hasher{t, 1, k.typed}, condition: condition}
	for _, s := range []struct {
		side side
		sum  *digest
	}{{k.a, &r.a}, {k.b, &r.b}} {
		found, err := s.side.digestPart(ctx, r.hasher, part{t.from(), condition}, k.catalog.where(t, "t"))
		if err != nil {
			return r, fmt.Errorf("checking %s on %s: %w", t, s.side.node.Name, err)
		}
		*s.sum = found[0]
		k.progress(found[0].rows)
	}
	if r.a != r.b {
		r.differing = []int{0}
	}
	return r, nil
}

// estimate returns about how many rows of a table move.
func (k *comparer) estimate(ctx context.Context, t *Table) (int64, error) {
	var e explanation
	err := k.a.node.with(ctx, func(conn *pgx.Conn) (err error) {
		e, err = explain(ctx, conn, "SELECT FROM "+t.from()+" t WHERE "+k.catalog.where(t, "t"), leaf{})
		return err
	})
	return int64(e.rows), err
}

// A Difference is a row that is not alike on both sides.
type Difference struct {
	Table string `json:"table"`
	Key   string `json:"key"`
	What  string `json:"what"` // missing, extra, differs or doubled
}

// The kinds of differences, as seen from the side that should have what the other
// has.
const (
	missing = "missing"
	extra   = "extra"
	differs = "differs"
	doubled = "doubled"
)

// The bounds of a drill-down.
const (
	maxDrilled     = 16 // buckets of a table
	maxDifferences = 100
)

// drill names the rows that differ in some of the buckets that do.
func (k *comparer) drill(ctx context.Context, r tableComparison) ([]Difference, error) {
	var all []Difference
	for _, bucket := range r.differing[:min(len(r.differing), maxDrilled)] {
		var rows [2]map[string][]int64
		group, ctx := errgroup.WithContext(ctx)
		for i, s := range []side{k.a, k.b} {
			group.Go(func() (err error) {
				rows[i], err = k.rowsOf(ctx, s, tableComparison{hasher: r.hasher, differing: []int{bucket}}, r.hasher.table.keyWords())
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, fmt.Errorf("looking for the differing rows of %s: %w", r.hasher.table, err)
		}
		all = append(all, differences(r.hasher.table.String(), rows[0], rows[1])...)
		if len(all) >= maxDifferences {
			return all[:maxDifferences], nil
		}
	}
	return all, nil
}

// keyWords writes a row's key for a person.
func (t *Table) keyWords() string { return "concat_ws(', ', " + idents("t.", t.identity()) + ")" }

// differs is the condition that a row is in a part that differs.
func (r tableComparison) differs() string {
	if r.condition != "" {
		return r.condition
	}
	return r.hasher.in(r.differing)
}

// rowsOf reads the hashes of the rows of the parts that differ, by what key writes.
func (k *comparer) rowsOf(ctx context.Context, s side, r tableComparison, key string) (map[string][]int64, error) {
	conn, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	t := r.hasher.table
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT %s, %s FROM %s t WHERE %s AND %s",
		key, r.hasher.row("t", 0), t.from(), k.catalog.where(t, "t"), r.differs()))
	if err != nil {
		return nil, err
	}
	all := map[string][]int64{}
	var name string
	var hash int64
	_, err = pgx.ForEachRow(rows, []any{&name, &hash}, func() error {
		all[name] = append(all[name], hash)
		return nil
	})
	return all, err
}

// differences compares the hashes by key: a should be, b is.
func differences(table string, a, b map[string][]int64) []Difference {
	var all []Difference
	for key, want := range a {
		have := b[key]
		slices.Sort(want)
		slices.Sort(have)
		switch {
		case slices.Equal(want, have), len(want) == 0:
		case len(have) == 0:
			all = append(all, Difference{table, key, missing})
		case len(have) > len(want):
			all = append(all, Difference{table, key, doubled})
		case len(have) < len(want):
			all = append(all, Difference{table, key, missing})
		default:
			all = append(all, Difference{table, key, differs})
		}
	}
	for key, have := range b {
		if len(a[key]) == 0 && len(have) > 0 {
			all = append(all, Difference{table, key, extra})
		}
	}
	slices.SortFunc(all, func(x, y Difference) int {
		if len(x.Key) != len(y.Key) {
			return len(x.Key) - len(y.Key)
		}
		return strings.Compare(x.Key, y.Key)
	})
	return all
}
