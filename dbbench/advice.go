package dbbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// AdviceKind is what sort of thing an Advice would do.
type AdviceKind string

// The kinds of advice.
const (
	MissingIndex   AdviceKind = "missing index"
	UnusedIndex    AdviceKind = "unused index"
	DuplicateIndex AdviceKind = "duplicate index"
	InvalidIndex   AdviceKind = "invalid index"
	Bloat          AdviceKind = "bloat"
	StaleStatistic AdviceKind = "stale statistics"
	NearLimit      AdviceKind = "near a limit"
)

// An Advice is one thing to do to a database, and what speaks for it.
type Advice struct {
	Kind   AdviceKind `json:"kind"`
	Object string     `json:"object"` // the table, index, sequence or database
	Text   string     `json:"text"`   // what to do, in words
	SQL    string     `json:"sql,omitempty"`
	// Evidence is what was seen that speaks for it, Doubts what speaks against
	// it or could not be seen.
	Evidence []string `json:"evidence"`
	Doubts   []string `json:"doubts,omitempty"`
	// Bytes is what it would free, or for an index to be made, take.
	Bytes float64 `json:"bytes,omitempty"`
}

// AdviceResult is what Advise found.
type AdviceResult struct {
	Advice []Advice `json:"advice"`
	// Rejected are indexes that looked as if they were missing, and that the
	// planner, or a run on a copy, had no use for.
	Rejected []Advice `json:"rejected,omitempty"`
	// Notes say what could not be judged, and what would let it be.
	Notes []string `json:"notes,omitempty"`
}

// AdviceConfig says how Advise checks what it thinks.
type AdviceConfig struct {
	// Scratch asks to build indexes for real: the tables that the suite reads
	// are copied into unlogged tables of a schema of their own in the same
	// database, which is dropped afterwards.
	Scratch bool
	// ScratchLimit is the most bytes that may be copied; zero: 1 GiB.
	ScratchLimit float64
}

const defaultScratchLimit = 1 << 30

// Advise runs the suite once on the first node, looks at the statistics of all,
// and says what to do about what it saw. Without queries in config it advises from
// the statistics alone. But for AdviceConfig.Scratch it changes nothing.
func Advise(ctx context.Context, nodes []Node, config Config, advice AdviceConfig) (*AdviceResult, error) {
	a := &adviser{nodes: nodes, config: config, how: advice, unbuilt: map[string]error{}, result: &AdviceResult{Advice: []Advice{}}}
	if err := a.capture(ctx); err != nil {
		return nil, err
	}
	conn, err := connect(ctx, nodes[0], config)
	if err != nil {
		return nil, err
	}
	defer func() { closeQuietly(conn) }()
	if err := a.missingIndexes(ctx, conn); err != nil {
		return nil, err
	}
	a.unusedIndexes()
	a.duplicateIndexes()
	a.invalidIndexes()
	if err := a.bloat(ctx, conn); err != nil {
		return nil, err
	}
	a.staleStatistics()
	a.limits()
	return a.result, nil
}

// An adviser gathers what there is to say.
type adviser struct {
	nodes    []Node
	config   Config
	how      AdviceConfig
	captures []*Statistics // the first is the primary's
	cases    []advisedCase
	unbuilt  map[string]error // why candidates can't be built, by their keys
	result   *AdviceResult
}

// An advisedCase is one that gave a plan, with what it takes to plan it again.
type advisedCase struct {
	CaseResult
	place     int // among the adviser's cases
	arguments [][]byte
}

func (a *adviser) say(advice Advice) { a.result.Advice = append(a.result.Advice, advice) }

func (a *adviser) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(a.result.Notes, text) {
		a.result.Notes = append(a.result.Notes, text)
	}
}

// capture reads the statistics of every node. Without the first there is nothing
// to say; without another, nothing can be said of what needs all nodes.
func (a *adviser) capture(ctx context.Context) error {
	for i, node := range a.nodes {
		s, err := CaptureStatistics(ctx, node)
		switch {
		case err != nil && (i == 0 || ctx.Err() != nil):
			return err
		case err != nil:
			a.note("%s was not read: %v", node.Name, err)
			continue
		case i == 0 && s.InRecovery:
			return fmt.Errorf("%s is a standby: advice is about what the primary holds, so name that first", node.Name)
		}
		for _, note := range s.Notes {
			a.note("%s: %s", node.Name, note)
		}
		a.captures = append(a.captures, s)
	}
	return nil
}

// runSuite runs the suite once, for its plans.
func (a *adviser) runSuite(ctx context.Context) error {
	if a.config.Suite == "" && len(a.config.Queries) == 0 {
		a.note("no queries were given, so that no missing index can be found: name a suite")
		return nil
	}
	once := a.config
	once.Repetitions, once.Plans, once.Load = 1, "custom", nil
	if err := a.leaveOut(&once); err != nil || len(once.Queries) == 0 {
		return err
	}
	bench, err := Open(ctx, a.nodes[0], once)
	if err != nil {
		return err
	}
	result, err := bench.Trial(ctx)
	if err := errors.Join(err, bench.Close()); err != nil {
		return fmt.Errorf("running the suite: %w", err)
	}
	for i, c := range result.Cases {
		if c.Error != "" || c.Plan == nil {
			a.note("%s gives no plan: %s", c.Name, c.Error)
			continue
		}
		a.cases = append(a.cases, advisedCase{c, len(a.cases), bench.cases[i].args})
	}
	return nil
}

// leaveOut leaves the queries out that are placed on another node than the one that
// advice is given for.
func (a *adviser) leaveOut(config *Config) error {
	queries, err := config.AllQueries()
	if err != nil {
		return err
	}
	config.Suite, config.Queries, config.Node = "", nil, Placement{}
	for _, q := range queries {
		if on := q.Node.At(BeforeAction); on != "" && on != a.nodes[0].Name {
			a.note("%s is a query of %s: advice is about %s, so that it is left out: ask for that of the other by itself", q.Name, on, a.nodes[0].Name)
			continue
		}
		q.Node = Placement{}
		config.Queries = append(config.Queries, q)
	}
	return nil
}

// tableRow returns the row of a view that is of one table.
func tableRow(s *Statistics, view, table string) Row {
	for _, row := range s.Views[view] {
		if row.Text("qualified") == table {
			return row
		}
	}
	return Row{}
}

// shortName names what a row is of for a person.
func shortName(row Row, column string) string {
	if schema := row.Text("schemaname"); schema != "public" && schema != "" {
		return schema + "." + row.Text(column)
	}
	return row.Text(column)
}

// sortAdvice puts what frees or takes most first, each kind by itself.
func sortAdvice(all []Advice) {
	slices.SortStableFunc(all, func(x, y Advice) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(x.Object, y.Object))
	})
}
