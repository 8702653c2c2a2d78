package history

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// A history of 1,000 nights of a database with 50 tables and 50 indexes, which has
// 500 metrics, is to open in less than a second.
func BenchmarkListAThousandNights(b *testing.B) {
	const nights, metrics = 1000, 500
	store, err := Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range nights {
		s := night(i)
		s.Trials, s.Metrics = 1, nil
		for m := range metrics {
			s.Metrics = append(s.Metrics, snapshot.Metric{
				Name: fmt.Sprintf("pg.primary.size.table.public.a_table_with_a_name_%03d", m), Unit: unit.Bytes, Better: snapshot.Neutral, Values: snapshot.Values{float64(random.Int64N(1 << 40))},
			})
		}
		if err := store.Add(b.Context(), s, Labels{}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		entries, err := store.List(b.Context())
		if err != nil || len(entries) != nights {
			b.Fatal(len(entries), err)
		}
	}
}
