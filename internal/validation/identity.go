package validation

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"scaleproof/dbbench"
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

// workloadHash identifies what a plan asks of its target: what its files hold, and
// not where they are. Two snapshots with different hashes measured different things.
func workloadHash(m plan.Measure) string {
	loads := slices.Clone(m.Load)
	for i := range loads {
		loads[i] = askedBy(loads[i])
	}
	data, err := json.Marshal(struct {
		Load, Database, Scrape any
	}{loads, askedOf(m.Database), m.Scrape})
	if err != nil {
		return ""
	}
	return hashOf(data)
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// askedBy is a load with what its files hold in place of their paths. One that can't
// be read stays a path: what is measured tells.
func askedBy(load loadgen.Config) loadgen.Config {
	load.Workers = loadgen.Workers{} // they ask the same, however many they are
	load.TLS.CA, load.TLS.Cert, load.TLS.Key = "", "", ""
	if load.UnixSocket != "" {
		load.UnixSocket = filepath.Base(load.UnixSocket)
	}
	bundle, err := load.Bundle()
	if err != nil {
		return load
	}
	for _, path := range []*string{&load.TargetsFile, &load.Feeder, &load.BodyFile} {
		if *path != "" {
			*path = hashOf(bundle.Files[*path])
		}
	}
	return load
}

// askedOf is the database's part with the queries of its suite in place of its path.
func askedOf(config *dbbench.Config) any {
	if config == nil || config.Suite == "" {
		return config
	}
	asked := *config
	if queries, err := asked.AllQueries(); err == nil { // one that can't be read fails the measurement, which says why
		asked.Suite, asked.Queries = "", queries
	}
	return asked
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
