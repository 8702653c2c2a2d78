package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Routes say which shard has which organisations. Those that stand nowhere are
// where they always were.
type Routes struct {
	// Epoch grows by one with each change, so that a reader knows which of two
	// routes is the newer one.
	Epoch  int64                      `json:"epoch"`
	Shards map[string][]Organizations `json:"shards"` // by the name of the node
}

// has reports whether a shard has a set of organisations.
func (r Routes) has(shard string, set Organizations) bool {
	return slices.ContainsFunc(r.Shards[shard], func(o Organizations) bool { return reflect.DeepEqual(o, set) })
}

// movable says why a set can't be taken from a shard: the routing would name two
// for it, or forget one.
func (r Routes) movable(from string, set Organizations) error {
	if len(r.Shards[from]) == 0 || r.has(from, set) {
		return nil
	}
	return fmt.Errorf("the routing does not name %s for the organisations %s as such: write those that move as an entry of their own first, and those that stay as others", from, set)
}

// moved returns the next routes, in which from has a set no more, and to has it,
// or where that is where it always was, nobody.
func (r Routes) moved(from, to string, set Organizations, named bool) Routes {
	next := Routes{r.Epoch + 1, map[string][]Organizations{}}
	for name, sets := range r.Shards {
		if sets = slices.DeleteFunc(slices.Clone(sets), func(o Organizations) bool {
			return (name == from || name == to) && reflect.DeepEqual(o, set)
		}); len(sets) > 0 {
			next.Shards[name] = sets
		}
	}
	if named {
		next.Shards[to] = append(next.Shards[to], set)
	}
	return next
}

// Routing is where applications read the routes.
type Routing interface {
	// Read returns the routes; where there are none yet, those of epoch 0.
	Read(ctx context.Context) (Routes, error)
	// Write puts next, whole, in the place of routes of the epoch before it, and
	// fails with ErrStaleRoutes where there are others by now.
	Write(ctx context.Context, next Routes) error
}

// ErrStaleRoutes is that someone else has changed the routes.
var ErrStaleRoutes = errors.New("the routing has been changed by someone else meanwhile: read it, and try again")

// DecodeRoutes reads routes; of no text they are those of epoch 0.
func DecodeRoutes(text []byte) (Routes, error) {
	var r Routes
	if len(text) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("reading the routing: %w", err)
	}
	return r, nil
}

// Encode writes routes as DecodeRoutes reads them.
func (r Routes) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the routing: %w", err)
	}
	return append(text, '\n'), nil
}

// FileRouting keeps the routes in a JSON file, which is replaced as a whole. It
// serves one scaleproof at a time.
type FileRouting struct{ Path string }

// Read implements Routing.
func (f FileRouting) Read(context.Context) (Routes, error) {
	text, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Routes{}, fmt.Errorf("reading the routing: %w", err)
	}
	return DecodeRoutes(text)
}

// Write implements Routing.
func (f FileRouting) Write(ctx context.Context, next Routes) error {
	now, err := f.Read(ctx)
	if err != nil {
		return err
	}
	if now.Epoch != next.Epoch-1 {
		return ErrStaleRoutes
	}
	text, err := next.Encode()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(f.Path), ".routing-*")
	if err != nil {
		return fmt.Errorf("writing the routing: %w", err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), f.Path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("writing the routing: %w", err)
	}
	return nil
}

// TableRouting keeps the routes in a table of one row, epoch and routes (JSON),
// which it makes.
type TableRouting struct {
	Node          Node
	Schema, Table string
}

func (r TableRouting) sql() string { return ident(r.Schema, r.Table) }

func (r TableRouting) with(ctx context.Context, f func(*pgx.Conn) error) error {
	return r.Node.with(ctx, func(conn *pgx.Conn) error {
		there, err := exists(ctx, conn, r.sql())
		if err != nil {
			return err
		}
		if there {
			return f(conn)
		}
		if err := inTx(ctx, conn, func(tx pgx.Tx) error {
			return execAll(ctx, tx.Conn(), "CREATE TABLE IF NOT EXISTS "+r.sql()+" (one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, routes jsonb NOT NULL)",
				"INSERT INTO "+r.sql()+` (epoch, routes) VALUES (0, '{"epoch": 0}') ON CONFLICT DO NOTHING`)
		}); err != nil {
			return fmt.Errorf("making the routing: %w", err)
		}
		return f(conn)
	})
}

// Read implements Routing.
func (r TableRouting) Read(ctx context.Context) (routes Routes, err error) {
	err = r.with(ctx, func(conn *pgx.Conn) error {
		var text []byte
		if err := conn.QueryRow(ctx, "SELECT routes FROM "+r.sql()).Scan(&text); err != nil {
			return fmt.Errorf("reading the routing: %w", err)
		}
		routes, err = DecodeRoutes(text)
		return err
	})
	return routes, err
}

// Write implements Routing.
func (r TableRouting) Write(ctx context.Context, next Routes) error {
	text, err := next.Encode()
	if err != nil {
		return err
	}
	return r.with(ctx, func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, "UPDATE "+r.sql()+" SET epoch = $1, routes = $2 WHERE epoch = $1 - 1", next.Epoch, string(text))
		if err != nil {
			return fmt.Errorf("writing the routing: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return ErrStaleRoutes
		}
		return nil
	})
}
