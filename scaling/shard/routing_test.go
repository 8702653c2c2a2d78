package shard

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// Routes are replaced as a whole, by whoever has read the last ones.
func TestRoutesAreReplacedByEpoch(t *testing.T) {
	t.Parallel()
	s := emptyStage(t)
	s.exec("source", "CREATE SCHEMA ops")
	for name, routing := range map[string]Routing{
		"file":  FileRouting{filepath.Join(t.TempDir(), "routes.json")},
		"table": TableRouting{Node{Name: "primary", DSN: s.nodes["primary"]}, "ops", "shard_routing"},
	} {
		t.Run(name, func(t *testing.T) {
			first := must[Routes](t)(routing.Read(t.Context()))
			if first.Epoch != 0 || len(first.Shards) != 0 {
				t.Errorf("%+v", first)
			}
			set, other := Organizations{From: "1", To: "9"}, Organizations{List: []string{"a", "b,c"}}
			next := first.moved("primary", "shard-2", set, true)
			if err := routing.Write(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			if err := routing.Write(t.Context(), first.moved("primary", "shard-3", other, true)); !errors.Is(err, ErrStaleRoutes) {
				t.Errorf("wrote over newer routes: %v", err)
			}
			got := must[Routes](t)(routing.Read(t.Context()))
			if !reflect.DeepEqual(got, next) || !got.has("shard-2", set) || got.has("shard-2", other) || got.has("shard-3", set) {
				t.Errorf("%+v", got)
			}
			both := got.moved("primary", "shard-2", other, true)
			back := both.moved("shard-2", "primary", set, false)
			if back.has("shard-2", set) || !back.has("shard-2", other) || back.Epoch != 3 || !both.has("shard-2", set) || len(back.Shards["primary"]) != 0 {
				t.Errorf("%+v", back)
			}
			onwards := both.moved("shard-2", "shard-3", set, true)
			if onwards.has("shard-2", set) || !onwards.has("shard-3", set) || !onwards.has("shard-2", other) {
				t.Errorf("two shards have a set, or none: %+v", onwards)
			}
			if err := both.movable("shard-2", Organizations{From: "5", To: "9"}); err == nil {
				t.Error("a part of an entry would have two shards")
			}
			if err := errors.Join(both.movable("shard-2", set), both.movable("primary", set)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestABrokenRoutingIsNotOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (FileRouting{path}).Write(t.Context(), Routes{Epoch: 1}); err == nil {
		t.Error("wrote over what it could not read")
	}
	if text := must[[]byte](t)(os.ReadFile(path)); string(text) != "{" {
		t.Errorf("%q", text)
	}
}
