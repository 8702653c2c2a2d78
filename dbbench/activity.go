package dbbench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// Activity is what the sessions of a node were doing through a time: a mean, or a
// maximum, of samples, since none of this is counted by the server.
type Activity struct {
	Node    string  `json:"node"`
	Samples int     `json:"samples"`
	Seconds float64 `json:"seconds"`
	// Missed counts the samples that could not be taken, and Fault is why the
	// last of them could not.
	Missed int    `json:"missed,omitempty"`
	Fault  string `json:"fault,omitempty"`
	// Active and IdleInTransaction count client sessions, parallel workers
	// included and the sampler's own left out.
	Active            MeanMax `json:"active"`
	IdleInTransaction MeanMax `json:"idle_in_transaction"`
	// Waits says what the active sessions waited for, the most first. One that
	// waits for nothing is on a CPU: its Type is "CPU".
	Waits []Wait `json:"waits,omitempty"`
	// Blocked counts sessions that waited for a lock that another holds, and
	// Blocks lists which, the longest first.
	Blocked MeanMax `json:"blocked"`
	Blocks  []Block `json:"blocks,omitempty"`
	// LongestTransaction is in seconds.
	LongestTransaction float64 `json:"longest_transaction"`
	// Lags are of the standbys that stream from the node, or where it is a
	// standby, its own, called "replay".
	Lags []Lag `json:"lags,omitempty"`
}

// A MeanMax is of all samples.
type MeanMax struct {
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// A Wait is one kind of event, with how many active sessions waited for it.
type Wait struct {
	Type  string `json:"type"`
	Event string `json:"event,omitempty"`
	MeanMax
}

// A Block is a session that waited for a lock.
type Block struct {
	Mode     string  `json:"mode"` // the lock that it wants
	Relation string  `json:"relation,omitempty"`
	Query    string  `json:"query"`
	Blocker  string  `json:"blocker"` // the statement of who holds it
	Seconds  float64 `json:"seconds"` // for which its statement had run, at most
}

// A Lag is how far a standby was behind, or several of one name were.
type Lag struct {
	Standby string  `json:"standby"`
	State   string  `json:"state,omitempty"`
	Bytes   MeanMax `json:"bytes"`
	// Seconds is by the server's own measure. Samples without one, of an idle
	// server, count as 0 where no byte was lacking, and otherwise not at all.
	Seconds      MeanMax `json:"seconds"`
	sizes, times int     // how many samples each has
}

// An ActivitySampler samples the activity of several nodes.
type ActivitySampler struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	nodes  []*activityNode
}

// StartActivity samples pg_stat_activity, pg_locks and the replication of each
// node at an interval (zero: a second) until Stop is called or ctx ends. A node
// that can't be reached is tried again at each interval, and its samples count as
// missed.
func StartActivity(ctx context.Context, nodes []Node, interval time.Duration) *ActivitySampler {
	if interval <= 0 {
		interval = time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &ActivitySampler{cancel: cancel}
	for _, node := range nodes {
		n := &activityNode{node: node}
		n.whole.begin(node.Name)
		n.part.begin(node.Name)
		s.nodes = append(s.nodes, n)
		s.done.Go(func() { n.sample(ctx, interval) })
	}
	return s
}

// Part returns what was sampled since the last call, or since the start, one
// entry a node.
func (s *ActivitySampler) Part() []Activity {
	var all []Activity
	for _, n := range s.nodes {
		n.mu.Lock()
		all = append(all, n.part.finish())
		n.part = activitySum{}
		n.part.begin(n.node.Name)
		n.mu.Unlock()
	}
	return all
}

// Stop ends the sampling and closes its connections. It returns all that was
// sampled, one entry a node.
func (s *ActivitySampler) Stop() []Activity {
	s.cancel()
	s.done.Wait()
	var all []Activity
	for _, n := range s.nodes {
		all = append(all, n.whole.finish())
	}
	return all
}

// An activityNode is the sampling of one node.
type activityNode struct {
	node        Node
	mu          sync.Mutex // guards the sums
	whole, part activitySum
}

func (n *activityNode) sample(ctx context.Context, interval time.Duration) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			closeQuietly(conn)
		}
	}()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		var err error
		if conn == nil || conn.IsClosed() {
			conn, err = connect(ctx, n.node, Config{StatementTimeout: unit.Duration(max(interval, time.Second))})
		}
		var taken activitySample
		if err == nil {
			taken, err = readActivity(ctx, conn)
		}
		if ctx.Err() != nil {
			return
		}
		n.mu.Lock()
		n.whole.add(taken, err)
		n.part.add(taken, err)
		n.mu.Unlock()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Metrics returns the node's metrics, pg.<node>.activity.* and pg.<node>.lag.*.
// Without any sample there are none.
func (a Activity) Metrics() []snapshot.Sample {
	if a.Samples == 0 {
		return nil
	}
	prefix := "pg." + a.Node + "."
	samples := []snapshot.Sample{
		{Name: prefix + "activity.active", Unit: unit.Count, Better: snapshot.Neutral, Value: a.Active.Mean},
		{Name: prefix + "activity.blocked", Unit: unit.Count, Better: snapshot.Lower, Value: a.Blocked.Mean},
		{Name: prefix + "activity.longest_transaction", Unit: unit.Seconds, Better: snapshot.Neutral, Value: a.LongestTransaction},
	}
	for _, lag := range a.Lags {
		name := prefix + "lag." + caseName([]byte(lag.Standby))
		samples = append(samples,
			snapshot.Sample{Name: name + ".bytes", Unit: unit.Bytes, Better: snapshot.Lower, Value: lag.Bytes.Max},
			snapshot.Sample{Name: name + ".time", Unit: unit.Seconds, Better: snapshot.Lower, Value: lag.Seconds.Max})
	}
	// Names may become alike as parts of a metric's: it is of the first.
	seen := map[string]bool{}
	return slices.DeleteFunc(samples, func(s snapshot.Sample) bool {
		known := seen[s.Name]
		seen[s.Name] = true
		return known
	})
}

// Note says what could not be sampled; "" where all was.
func (a Activity) Note() string {
	if a.Missed == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d samples of the activity of %s were missed: %s", a.Missed, a.Missed+a.Samples, a.Node, a.Fault)
}
