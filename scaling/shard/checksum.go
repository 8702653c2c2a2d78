package shard

import (
	"context"
	"fmt"
	"math/big"
	"math/bits"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// A digest is what a set of rows comes to: their number, and two sums over a
// 64-bit hash of each, neither of which depends on their order. The exclusive or
// alone would not see a pair of equal rows.
type digest struct {
	rows     int64
	sum, xor uint64
}

func (d *digest) add(o digest) {
	d.rows, d.sum, d.xor = d.rows+o.rows, d.sum+o.sum, d.xor^o.xor
}

// digests are those of the buckets of a table: bucket b has the rows whose key's
// hash ends in b, so that both sides cut alike, whatever the type of the key and
// wherever the rows lie.
type digests map[int]digest

// A hasher writes the expressions that hash rows of a table on both sides.
type hasher struct {
	table   *Table
	buckets int // a power of two
	// typed hashes the values themselves, which is several times as fast as
	// hashing their text: from version 14 on both sides.
	typed bool
}

// typedVersion is the first server_version_num with hash_record_extended and
// bit_xor.
const typedVersion = 140000

// bucketRows is about how many rows a bucket has. There are at most maxBuckets: of
// more the sums don't fit into a processor's cache, unless rows of a bucket lie side
// by side, as those of neighbouring integers do.
const (
	bucketRows    = 256
	maxBuckets    = 2048
	maxNeighbours = 32768
)

// bucketsFor returns a power of two.
func bucketsFor(t *Table, rows int64) int {
	most := int64(maxBuckets)
	if _, ok := t.integerKey(); ok {
		most = maxNeighbours
	}
	return 1 << (bits.Len64(uint64(min(max(rows/bucketRows, 1), most))) - 1)
}

// integerKey returns the primary key where it is one integer.
func (t *Table) integerKey() (string, bool) {
	if len(t.Key) != 1 {
		return "", false
	}
	c, _ := t.column(t.Key[0])
	return c.Name, c.Type == "bigint" || c.Type == "integer" || c.Type == "smallint"
}

// exact reports whether equal hashes of a type's values mean equal values: not so
// of numeric (1.0 and 1.00), jsonb, float (0 and -0) and interval (24 hours and a
// day), nor of what extensions make, which are hashed as text.
func exact(columnType string) bool {
	base, _, _ := strings.Cut(columnType, "(")
	switch base {
	case "boolean", "smallint", "integer", "bigint", "oid", "uuid", "date", "bytea", "text", "character varying", "name",
		"timestamp without time zone", "timestamp with time zone":
		return true
	}
	return strings.HasPrefix(columnType, "timestamp(")
}

// exactly writes a value so that its hash is exact. That of a bigint has 32 bits
// of it, its halves folded: the upper half is put beside it.
func exactly(c Column, v string) string {
	switch base, _, _ := strings.Cut(c.Type, "("); {
	case !exact(c.Type):
		return v + `::text COLLATE "C"`
	case base == "text" || base == "character varying":
		return v + ` COLLATE "C"`
	case base == "bigint":
		return v + ", (" + v + " >> 32)"
	}
	return v
}

// chained hashes a value that is never null by its type's own function, which is
// cheaper than that of records, with the hash of what came before as its seed.
func chained(c Column, v, seed string) (expression string, ok bool) {
	switch base, _, _ := strings.Cut(c.Type, "("); base {
	case "bigint":
		return "(hashint8extended(" + v + ", " + seed + ") # " + v + ")", true // see exactly
	case "integer", "smallint":
		return "hashint4extended(" + v + "::int, " + seed + ")", true
	case "text", "character varying":
		return "hashtextextended(" + v + `::text COLLATE "C", ` + seed + ")", true
	case "uuid":
		return "uuid_hash_extended(" + v + ", " + seed + ")", true
	case "timestamp without time zone", "timestamp with time zone":
		return "timestamp_hash_extended(" + v + "::timestamp, " + seed + ")", true // TimeZone is UTC
	}
	return "", false
}

// hash hashes columns of the row named by alias.
func (h hasher) hash(alias string, columns []string, start int) string {
	seed := fmt.Sprint(start)
	var others []string
	for _, name := range columns {
		c, _ := h.table.column(name)
		v := alias + "." + ident(name)
		if next, ok := chained(c, v, seed); ok && c.NotNull && h.typed {
			seed = next
			continue
		}
		others = append(others, exactly(c, v))
	}
	switch record := "ROW(" + strings.Join(others, ", ") + ")"; {
	case len(others) == 0:
		return seed
	case h.typed:
		return "hash_record_extended(" + record + ", " + seed + ")"
	default:
		return "hashtextextended(" + record + "::text, " + seed + ")"
	}
}

// row hashes a whole row.
func (h hasher) row(alias string, seed int) string {
	all := make([]string, len(h.table.Columns))
	for i, c := range h.table.Columns {
		all[i] = c.Name
	}
	return h.hash(alias, all, seed)
}

// neighbours is how many bits of an integer key are left out of its bucket, so that
// a scan in the order of the keys stays in one for a while.
const neighbours = 8

// bucket tells the bucket of a row.
func (h hasher) bucket(alias string) string {
	if key, ok := h.table.integerKey(); ok {
		return fmt.Sprintf("((%s.%s >> %d) & %d)::int", alias, ident(key), neighbours, h.buckets-1)
	}
	return fmt.Sprintf("(%s & %d)::int", h.hash(alias, h.table.identity(), 1), h.buckets-1)
}

// in tells whether a row is in one of some buckets.
func (h hasher) in(buckets []int) string {
	return h.bucket("t") + " IN (" + strings.Trim(strings.ReplaceAll(fmt.Sprint(buckets), " ", ", "), "[]") + ")"
}

// identity are the columns that tell a row from others: the primary key, or
// without one all.
func (t *Table) identity() []string {
	if len(t.Key) > 0 {
		return t.Key
	}
	var all []string
	for _, c := range t.Columns {
		all = append(all, c.Name)
	}
	return all
}

// digestSQL reads the digests of the rows of from that condition takes.
func (h hasher) digestSQL(from, condition string) string {
	xor, second := "bit_xor(h)", ""
	if !h.typed {
		// Version 13 has no bit_xor: a sum over another hash takes its place.
		xor, second = "(sum(g) % 18446744073709551616)", ", "+h.row("t", 2)+" AS g"
	}
	return fmt.Sprintf("SELECT b, count(*), (sum(h) %% 18446744073709551616)::text, %s::text FROM (SELECT %s AS b, %s AS h%s FROM %s t WHERE %s OFFSET 0) s GROUP BY b",
		xor, h.bucket("t"), h.row("t", 0), second, from, condition)
}

// word reads a 64-bit number that Postgres has written with a sign.
func word(text string) (uint64, error) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0))).Uint64(), nil
}

// A side is one database in a comparison, and the snapshot to read it on, where
// there is one.
type side struct {
	node     Node
	snapshot string
}

// open opens a session that reads on the side's snapshot.
func (s side) open(ctx context.Context) (*pgx.Conn, error) {
	// The planner knows nothing of how many buckets there are: not to sort is right.
	conn, err := s.node.connect(ctx, map[string]string{"jit": "off", "enable_sort": "off", "work_mem": "64MB"})
	if err != nil {
		return nil, err
	}
	err = execAll(ctx, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if err == nil && s.snapshot != "" {
		err = execAll(ctx, conn, "SET TRANSACTION SNAPSHOT "+quote(s.snapshot))
	}
	if err != nil {
		closeConn(conn)
		return nil, fmt.Errorf("opening a snapshot on %s: %w", s.node.Name, err)
	}
	return conn, nil
}

// digestTable reads the digests of a table's rows, by several workers that each
// take some of its blocks.
func (s side) digestTable(ctx context.Context, h hasher, condition string, workers int, progress func(rows int64)) (digests, error) {
	parts, err := s.parts(ctx, h.table, workers)
	if err != nil {
		return nil, err
	}
	results := make([]digests, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, p := range parts {
		group.Go(func() (err error) {
			results[i], err = s.digestPart(ctx, h, p, condition)
			for _, d := range results[i] {
				progress(d.rows)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("checking %s on %s: %w", h.table, s.node.Name, err)
	}
	all := digests{}
	for _, r := range results {
		for b, d := range r {
			sum := all[b]
			sum.add(d)
			all[b] = sum
		}
	}
	return all, nil
}

// A part is some of a table's blocks.
type part struct{ from, condition string }

// partBlocks is the least that is worth a session of its own: 32 MiB.
const partBlocks = 4096

// parts cuts the table as it lies on this side, whose partitions may be others.
func (s side) parts(ctx context.Context, t *Table, workers int) (parts []part, err error) {
	err = s.node.with(ctx, func(conn *pgx.Conn) error {
		var version int
		var oid *uint32
		if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int, to_regclass($1)::oid", t.sql()).Scan(&version, &oid); err != nil {
			return fmt.Errorf("looking for %s on %s: %w", t, s.node.Name, err)
		}
		if oid == nil {
			return fmt.Errorf("%s is not on %s", t, s.node.Name)
		}
		rows, err := conn.Query(ctx, leavesSQL, *oid)
		if err != nil {
			return err
		}
		leaves, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l leaf, err error) {
			return l, row.Scan(&l.schema, &l.name, &l.blocks)
		})
		for _, l := range leaves {
			step := max(partBlocks, (l.blocks+int64(workers)-1)/int64(workers))
			if version < typedVersion {
				step = l.blocks + 1 // no scan of a range of blocks before version 14
			}
			for _, condition := range blockRanges(l.blocks, step) {
				parts = append(parts, part{l.from(), condition})
			}
		}
		return err
	})
	return parts, err
}

// blockRanges cuts blocks into ranges of step; the last one has no end, so that
// blocks which are added meanwhile are in it.
func blockRanges(blocks, step int64) []string {
	var ranges []string
	for low := int64(0); low == 0 || low < blocks; low += step {
		switch high := low + step; {
		case low == 0 && high >= blocks:
			ranges = append(ranges, "true")
		case high >= blocks:
			ranges = append(ranges, fmt.Sprintf("t.ctid >= '(%d,0)'", low))
		default:
			ranges = append(ranges, fmt.Sprintf("t.ctid >= '(%d,0)' AND t.ctid < '(%d,0)'", low, high))
		}
	}
	return ranges
}

func (s side) digestPart(ctx context.Context, h hasher, p part, condition string) (digests, error) {
	conn, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	rows, err := conn.Query(ctx, h.digestSQL(p.from, p.condition+" AND "+condition))
	if err != nil {
		return nil, err
	}
	all := digests{}
	var b int
	var n int64
	var sum, xor string
	_, err = pgx.ForEachRow(rows, []any{&b, &n, &sum, &xor}, func() error {
		d := digest{rows: n}
		if d.sum, err = word(sum); err != nil {
			return err
		}
		d.xor, err = word(xor)
		all[b] = d
		return err
	})
	return all, err
}
