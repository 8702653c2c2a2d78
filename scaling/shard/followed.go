package shard

import (
	"context"
	"slices"
)

// followRounds is how often a row that changes is looked at again.
const followRounds = 5

// rowHashes are the hashes of rows by key, in order: more than one where the key is
// that of several.
type rowHashes = map[string][]int64

// followed names the rows of b that are not as a had them, while b follows a: what a
// has is read before b has caught up and after, and b in between. changing counts those
// that were not told in any round.
func (k *comparer) followed(ctx context.Context, r tableComparison) (wrong []Difference, changing int, err error) {
	read := func(s side) (rowHashes, error) {
		rows, err := k.rowsOf(ctx, s, r, r.hasher.table.keyWords())
		for key := range rows {
			slices.Sort(rows[key])
		}
		return rows, err
	}
	before, err := read(k.a)
	if err != nil {
		return nil, 0, err
	}
	var f following
	for range followRounds {
		if err := k.catchUp(ctx); err != nil {
			return nil, 0, err
		}
		follows, err := read(k.b)
		if err != nil {
			return nil, 0, err
		}
		after, err := read(k.a)
		if err != nil {
			return nil, 0, err
		}
		if f.look(before, follows, after) {
			break
		}
		before = after
	}
	wrong = differences(r.hasher.table.String(), f.should, f.has)
	return wrong[:min(len(wrong), maxDifferences)], len(f.open), nil
}

// A following tells which rows of a side are wrong that follows another. The zero value
// has looked at none.
type following struct {
	looked      bool
	open        map[string]bool // that are not told yet
	wrong       rowHashes       // as they were on b in the last look, where they should not have been so
	should, has rowHashes       // of rows that are told to be wrong: as they are on a, and on b
}

// look takes what a had, what b had when it had caught up with that, and what a has
// now, and reports whether each row is told. One that a had alike both times must be so
// on b, and one that a changed as at either time. A row that is not is wrong if it was
// so the last time, too: a may have changed it, and changed it back, between its looks.
func (f *following) look(before, follows, after rowHashes) (told bool) {
	open, wrong := map[string]bool{}, rowHashes{}
	f.should, f.has = rowHashes{}, rowHashes{}
	for _, rows := range []rowHashes{before, after, follows} {
		for key := range rows {
			have := follows[key]
			last, again := f.wrong[key]
			switch {
			case f.looked && !f.open[key] && !again, slices.Equal(have, before[key]), slices.Equal(have, after[key]):
			case !slices.Equal(before[key], after[key]):
				open[key] = true
			case again && slices.Equal(last, have):
				f.should[key], f.has[key], wrong[key] = after[key], have, have
			default:
				open[key], wrong[key] = true, have
			}
		}
	}
	f.looked, f.open, f.wrong = true, open, wrong
	return len(open) == 0
}
