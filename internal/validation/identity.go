package validation

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"time"

	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/loadgen"
)

// NewID names a run: its time, so that names sort, and a random part.
func NewID(now time.Time) string {
	var random [3]byte
	_, _ = rand.Read(random[:]) // never fails
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(random[:])
}

// workloadHash identifies what a plan asks of its target. Two snapshots with
// different hashes measured different things.
func workloadHash(m plan.Measure) string {
	loads := slices.Clone(m.Load)
	for i := range loads {
		loads[i].Workers = loadgen.Workers{} // they ask the same, however many they are
	}
	database := m.Database
	if database != nil && database.Suite != "" {
		// The queries count, and not where their file is. One that can't be read
		// fails the measurement, which says why.
		if queries, err := database.AllQueries(); err == nil {
			own := *database
			own.Suite, own.Queries = "", queries
			database = &own
		}
	}
	data, err := json.Marshal(struct {
		Load, Database, Scrape any
	}{loads, database, m.Scrape})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func environment(tool string) snapshot.Environment {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return snapshot.Environment{
		Tool: tool, Host: host, OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Facts: map[string]string{},
	}
}

func orDefault[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}
