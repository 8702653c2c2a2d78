package dbbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The defaults of Config.
const (
	defaultRepetitions = 5
	defaultWarmup      = 1
)

// A Bench is an open suite, on one node or several. It is not safe for concurrent use.
type Bench struct {
	config   Config
	sessions []*session // of the nodes that the suite names, in the order of the nodes
	cases    []benchCase
	rng      *rand.Rand
	deadline time.Time // of the trial's budget; zero without
}

// A session is the connection to one node.
type session struct {
	node       Node
	conn       *pgx.Conn
	version    string
	versionNum int // 150004
}

// Open connects to a node and draws the arguments of the suite's cases. Close
// ends the connection.
func Open(ctx context.Context, node Node, config Config) (*Bench, error) {
	return OpenOn(ctx, []Node{node}, config, BeforeAction, nil)
}

// OpenOn is Open of a suite whose queries run where their placements say at a moment;
// those that name no node on the first. It connects to each node that the suite names
// at any moment, so that one which can't be reached is known before an action.
//
// Arguments that the cases of an earlier result had are taken from there, so that both
// are of the same work though the data, or the node, have changed. Queries that it
// lacks, or had no arguments for, are drawn anew; nil draws all.
func OpenOn(ctx context.Context, nodes []Node, config Config, m Moment, earlier *Result) (*Bench, error) {
	queries, err := config.AllQueries()
	if err != nil {
		return nil, err
	}
	if len(queries) == 0 {
		return nil, errors.New("the suite has no queries")
	}
	b := &Bench{config: config, rng: rand.New(rand.NewPCG(config.Seed, 0x5ca1e))}
	if err := b.prepare(ctx, nodes, queries, m, earlier); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bench) prepare(ctx context.Context, nodes []Node, queries []Query, m Moment, earlier *Result) (err error) {
	for i := range queries {
		if queries[i].Node == (Placement{}) {
			queries[i].Node = On(nodes[0].Name)
		}
	}
	var names []string
	for _, node := range nodes {
		names = append(names, node.Name)
		named := func(q Query) bool { return q.Node.Before == node.Name || q.Node.After == node.Name }
		if !slices.ContainsFunc(queries, named) {
			continue
		}
		s, err := openSession(ctx, node)
		if err != nil {
			return err
		}
		b.sessions = append(b.sessions, s)
	}
	for _, q := range queries {
		if name := q.Node.At(m); b.session(name) == nil {
			return fmt.Errorf("the query %s is on the node %s, and there is none of that name, but %s", q.Name, name, strings.Join(names, ", "))
		}
	}
	b.cases, err = b.expandCases(ctx, queries, m, earlier)
	return err
}

func openSession(ctx context.Context, node Node) (*session, error) {
	conn, err := connect(ctx, node, Config{})
	if err != nil {
		return nil, err
	}
	s := &session{node: node, conn: conn}
	if s.version, s.versionNum, err = serverVersion(ctx, conn); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the version of %s: %w", node.Name, err), s.close())
	}
	return s, nil
}

// session returns that of a node, nil where there is none.
func (b *Bench) session(node string) *session {
	for _, s := range b.sessions {
		if s.node.Name == node {
			return s
		}
	}
	return nil
}

// has reports whether the suite has cases on a node.
func (b *Bench) has(s *session) bool {
	return slices.ContainsFunc(b.cases, func(c benchCase) bool { return c.on == s })
}

// serverVersion returns the version as text and as a number, "15.4" and 150004.
func serverVersion(ctx context.Context, conn *pgx.Conn) (text string, number int, err error) {
	err = conn.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('server_version_num')::int").Scan(&text, &number)
	return text, number, err
}

// Close ends the connections. It returns once the servers were told to cancel what
// runs on them.
func (b *Bench) Close() error {
	var faults []error
	for _, s := range b.sessions {
		faults = append(faults, s.close())
	}
	return errors.Join(faults...)
}

func (s *session) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	err := s.conn.Close(ctx)
	<-s.conn.PgConn().CleanupDone()
	return err
}

// reopen makes a new connection for one that broke, and prepares again what runs
// need that have not failed.
func (s *session) reopen(ctx context.Context, runs []*caseRun) error {
	<-s.conn.PgConn().CleanupDone()
	conn, err := connect(ctx, s.node, Config{})
	if err != nil {
		return err
	}
	s.conn = conn
	for _, r := range runs {
		if r.on == s && r.prepared && r.result.Error == "" {
			if err := r.prepare(ctx, conn); err != nil {
				r.result.Error = err.Error()
			}
		}
	}
	return nil
}

func orDefault(value, byDefault int) int {
	if value == 0 {
		return byDefault
	}
	return value
}
