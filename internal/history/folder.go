package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"scaleproof/internal/snapshot"
)

// A folder is a Store of files:
//
//	snapshots/ID.json   whole
//	index/ID.json       its Entry: what a list needs, so that none reads the whole
//	baselines/NAME      an ID
//
// Each is written beside its place, synced and renamed. The index comes last: a
// snapshot without it is one that a crash has cut, and is not there.
type folder struct{ dir string }

func (f *folder) path(parts ...string) string {
	return filepath.Join(append([]string{f.dir}, parts...)...)
}

// Add implements Store.
func (f *folder) Add(_ context.Context, s *snapshot.Snapshot, labels Labels) error {
	if err := checkName("ID", s.ID); err != nil {
		return err
	}
	data, err := json.Marshal(entryOf(s, labels))
	if err != nil {
		return fmt.Errorf("encoding the entry of %s: %w", s.ID, err)
	}
	for _, name := range []string{"snapshots", "index"} {
		if err := os.MkdirAll(f.path(name), 0o755); err != nil {
			return fmt.Errorf("making the history: %w", err)
		}
	}
	if err := snapshot.WriteFile(f.path("snapshots", s.ID+".json"), s); err != nil {
		return fmt.Errorf("adding to the history: %w", err)
	}
	if err := snapshot.WriteFileAtomically(f.path("index", s.ID+".json"), data); err != nil {
		return fmt.Errorf("adding to the history: %w", err)
	}
	return nil
}

// List implements Store.
func (f *folder) List(ctx context.Context) ([]Entry, error) {
	files, err := os.ReadDir(f.path("index"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the history: %w", err)
	}
	var paths []string
	for _, file := range files {
		if filepath.Ext(file.Name()) == ".json" && !strings.HasPrefix(file.Name(), ".") { // not what is being written
			paths = append(paths, f.path("index", file.Name()))
		}
	}
	entries, err := readEntries(ctx, paths)
	if err != nil {
		return nil, err
	}
	sortEntries(entries)
	return entries, nil
}

// readEntries reads on all CPUs: decoding years of nights takes its time.
func readEntries(ctx context.Context, paths []string) ([]Entry, error) {
	entries, faults := make([]Entry, len(paths)), make([]error, len(paths))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(paths), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(paths) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				entries[i], faults[i] = readEntry(paths[i])
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, fault := range faults {
		if fault != nil {
			return nil, fault
		}
	}
	return entries, nil
}

func readEntry(path string) (e Entry, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return e, fmt.Errorf("listing the history: %w", err)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("listing the history: %s is damaged: %w: add the snapshot again, or delete the file", path, err)
	}
	return e, nil
}

// Read implements Store.
func (f *folder) Read(_ context.Context, id string) (*snapshot.Snapshot, error) {
	if err := checkName("ID", id); err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.path("index", id+".json")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", id, ErrUnknown)
	}
	s, err := snapshot.ReadFile(f.path("snapshots", id+".json"))
	if err != nil {
		return nil, fmt.Errorf("reading from the history: %w", err)
	}
	return s, nil
}

// Promote implements Store.
func (f *folder) Promote(ctx context.Context, name, id string) error {
	if err := checkBaseline(name); err != nil {
		return err
	}
	if _, err := f.Read(ctx, id); err != nil {
		return err
	}
	if err := os.MkdirAll(f.path("baselines"), 0o755); err != nil {
		return fmt.Errorf("promoting %s: %w", id, err)
	}
	if err := snapshot.WriteFileAtomically(f.path("baselines", name), []byte(id+"\n")); err != nil {
		return fmt.Errorf("promoting %s: %w", id, err)
	}
	return nil
}

// Baselines implements Store.
func (f *folder) Baselines(context.Context) (map[string]string, error) {
	files, err := os.ReadDir(f.path("baselines"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the baselines: %w", err)
	}
	baselines := map[string]string{}
	for _, file := range files {
		if strings.HasPrefix(file.Name(), ".") {
			continue // what is being written
		}
		id, err := os.ReadFile(f.path("baselines", file.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading the baselines: %w", err)
		}
		baselines[file.Name()] = strings.TrimSpace(string(id))
	}
	return baselines, nil
}

// Close implements Store.
func (*folder) Close() error { return nil }
