package dbbench

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// An activitySample is what the views held at one moment.
type activitySample struct {
	sessions []sessions
	blocks   []Block
	lags     []lagSample
}

// sessions are the client sessions in one state that wait for one event.
type sessions struct {
	State, WaitType, WaitEvent string
	Count, Longest             float64
}

type lagSample struct {
	Standby, State string
	Bytes, Seconds *float64
}

const sessionsQuery = `SELECT coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(wait_event, ''), count(*)::float8,
	coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
	FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type IN ('client backend', 'parallel worker') GROUP BY 1, 2, 3`

const blocksQuery = `SELECT DISTINCT ON (l.pid) l.mode, coalesce(l.relation::regclass::text, ''), left(a.query, 500),
	coalesce((SELECT left(b.query, 500) FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(l.pid)) LIMIT 1), ''),
	coalesce(extract(epoch FROM clock_timestamp() - a.query_start), 0)::float8
	FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted`

const lagsQuery = `SELECT coalesce(application_name, ''), coalesce(state, ''), pg_wal_lsn_diff(` + logPosition + `, replay_lsn)::float8, extract(epoch FROM replay_lag)::float8
	FROM pg_stat_replication
	UNION ALL SELECT 'replay', '', pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8, ` + replicaDelay + `
	WHERE pg_is_in_recovery()`

func readActivity(ctx context.Context, conn *pgx.Conn) (s activitySample, err error) {
	if s.sessions, err = collect[sessions](ctx, conn, sessionsQuery); err != nil {
		return s, err
	}
	if s.blocks, err = collect[Block](ctx, conn, blocksQuery); err != nil {
		return s, err
	}
	s.lags, err = collect[lagSample](ctx, conn, lagsQuery)
	return s, err
}

func collect[T any](ctx context.Context, conn *pgx.Conn, query string) ([]T, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// An activitySum adds samples up.
type activitySum struct {
	Activity // its means are sums until finish
	began    time.Time
	waits    map[[2]string]*Wait
	lags     map[string]*Lag
}

func (s *activitySum) begin(node string) {
	s.Node, s.began = node, time.Now()
	s.waits, s.lags = map[[2]string]*Wait{}, map[string]*Lag{}
}

// mostBlocks bounds the sessions that are listed one by one.
const mostBlocks = 20

func (s *activitySum) add(taken activitySample, err error) {
	if err != nil {
		s.Missed++
		s.Fault = err.Error()
		return
	}
	s.Samples++
	s.addSessions(taken.sessions)
	s.Blocked.add(float64(len(taken.blocks)))
	for _, b := range taken.blocks {
		s.addBlock(b)
	}
	for _, l := range taken.lags {
		s.addLag(l)
	}
}

func (s *activitySum) addSessions(all []sessions) {
	var active, idle float64
	for _, group := range all {
		s.LongestTransaction = max(s.LongestTransaction, group.Longest)
		switch group.State {
		case "active", "fastpath function call":
			active += group.Count
		case "idle in transaction", "idle in transaction (aborted)":
			idle += group.Count
			continue
		default:
			continue
		}
		key := [2]string{group.WaitType, group.WaitEvent}
		if group.WaitType == "" {
			key[0] = "CPU"
		}
		if s.waits[key] == nil {
			s.waits[key] = &Wait{Type: key[0], Event: key[1]}
		}
		s.waits[key].add(group.Count)
	}
	s.Active.add(active)
	s.IdleInTransaction.add(idle)
}

// addBlock keeps the longest of each wait, and of all waits the longest.
func (s *activitySum) addBlock(b Block) {
	b.Query, b.Blocker = withoutSecrets(b.Query), withoutSecrets(b.Blocker)
	i := slices.IndexFunc(s.Blocks, func(known Block) bool {
		return known.Mode == b.Mode && known.Relation == b.Relation && known.Query == b.Query && known.Blocker == b.Blocker
	})
	switch {
	case i >= 0:
		s.Blocks[i].Seconds = max(s.Blocks[i].Seconds, b.Seconds)
	case len(s.Blocks) < mostBlocks:
		s.Blocks = append(s.Blocks, b)
	default:
		shortest := 0
		for i := range s.Blocks {
			if s.Blocks[i].Seconds < s.Blocks[shortest].Seconds {
				shortest = i
			}
		}
		if b.Seconds > s.Blocks[shortest].Seconds {
			s.Blocks[shortest] = b
		}
	}
}

func (s *activitySum) addLag(l lagSample) {
	if s.lags[l.Standby] == nil {
		s.lags[l.Standby] = &Lag{Standby: l.Standby}
	}
	lag := s.lags[l.Standby]
	lag.State = l.State
	if l.Bytes != nil {
		lag.Bytes.add(*l.Bytes)
		lag.sizes++
	}
	switch {
	case l.Seconds != nil:
		lag.Seconds.add(*l.Seconds)
		lag.times++
	case l.Bytes != nil && *l.Bytes <= 0:
		lag.times++
	}
}

func (m *MeanMax) add(value float64) {
	m.Mean += value
	m.Max = max(m.Max, value)
}

func (m *MeanMax) divide(n int) {
	if n > 0 {
		m.Mean /= float64(n)
	}
}

// finish turns the sums into means.
func (s *activitySum) finish() Activity {
	a := s.Activity
	a.Seconds = time.Since(s.began).Seconds()
	for _, m := range []*MeanMax{&a.Active, &a.IdleInTransaction, &a.Blocked} {
		m.divide(a.Samples)
	}
	for _, w := range s.waits {
		wait := *w
		wait.divide(a.Samples)
		a.Waits = append(a.Waits, wait)
	}
	slices.SortFunc(a.Waits, func(x, y Wait) int {
		return cmp.Or(cmp.Compare(y.Mean, x.Mean), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Event, y.Event))
	})
	for _, l := range s.lags {
		lag := *l
		lag.Bytes.divide(lag.sizes)
		lag.Seconds.divide(lag.times)
		a.Lags = append(a.Lags, lag)
	}
	slices.SortFunc(a.Lags, func(x, y Lag) int { return cmp.Compare(x.Standby, y.Standby) })
	a.Blocks = slices.Clone(s.Blocks)
	slices.SortStableFunc(a.Blocks, func(x, y Block) int { return cmp.Compare(y.Seconds, x.Seconds) })
	return a
}
