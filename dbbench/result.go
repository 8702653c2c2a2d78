// Package dbbench measures a Postgres database: query plans and times by
// EXPLAIN ANALYZE, load by many clients, and the statistics views before and
// after.
package dbbench

import (
	"time"

	"scaleproof/internal/stats"
)

// A Result is what one trial of a suite measured.
type Result struct {
	NodeResult
	// Others are the further nodes that the suite names, at this moment or another.
	Others    []NodeResult `json:"others,omitempty"`
	StartedAt time.Time    `json:"started_at"`
	Cases     []CaseResult `json:"cases"`
	Warnings  []string     `json:"warnings,omitempty"`

	notes []string // those of Warnings that the figures do not tell
}

// A NodeResult is what a trial found of a node.
type NodeResult struct {
	Node    string `json:"node"`
	Version string `json:"version"`
	// ClockCost is what one reading of the server's clock takes, in seconds; 0 where
	// that is not known, or no case ran there. Above 100 ns, times of nodes say more
	// of the clock than of the query.
	ClockCost float64 `json:"clock_cost"`
}

// Nodes returns all nodes that the suite names.
func (r *Result) Nodes() []NodeResult { return append([]NodeResult{r.NodeResult}, r.Others...) }

// A CaseResult is one query with one set of parameters.
type CaseResult struct {
	Name string `json:"name"` // part of metric names: db.<name>.time.p50
	SQL  string `json:"sql"`
	// Query is the suite's query that it is a case of.
	Query string `json:"query,omitempty"`
	Node  string `json:"node,omitempty"` // that it ran on; empty: the result's
	// Args are the values of the parameters as text; NULL is "NULL", and Nulls
	// are the places, from 0, of those that are NULL rather than this text.
	Args  []string `json:"args,omitempty"`
	Nulls []int    `json:"nulls,omitempty"`
	// Error is why the case has no figures: it failed, timed out or was
	// cancelled. The suite goes on.
	Error      string  `json:"error,omitempty"`
	Rows       float64 `json:"rows"`
	ResultHash string  `json:"result_hash,omitempty"` // of the rows, in any order
	// ResultHashes are those of all trials, sorted, where they differ.
	ResultHashes []string `json:"result_hashes,omitempty"`
	// Cut says that the budget was spent before the last repetition; Unstable
	// that the number of rows differed within a trial.
	Cut      bool `json:"cut,omitempty"`
	Unstable bool `json:"unstable,omitempty"`
	// PlanResult is of the plan made for the arguments, or where only generic
	// plans are asked for, of that. Generic is of the plan made for any
	// arguments; nil where the query has none or it was not asked for.
	PlanResult
	Generic *PlanResult `json:"generic,omitempty"`
}

// A PlanResult is what the runs of a case with one kind of plan measured. Times
// are seconds.
type PlanResult struct {
	// ServerTime is planning and execution as EXPLAIN (ANALYZE, TIMING OFF)
	// states it; ClientTime is a plain run as the client saw it, the transfer
	// included.
	ServerTime []float64        `json:"server_time,omitempty"`
	ClientTime []float64        `json:"client_time,omitempty"`
	Histogram  *stats.Histogram `json:"histogram,omitempty"` // of ClientTime
	// LackedWorkers counts the runs that are not in ServerTime since fewer
	// parallel workers were launched than planned.
	LackedWorkers int    `json:"lacked_workers,omitempty"`
	Fingerprint   string `json:"fingerprint,omitempty"` // of the plan's shape
	// Fingerprints are those of all runs, sorted, where they differ.
	Fingerprints []string `json:"fingerprints,omitempty"`
	Shape        string   `json:"shape,omitempty"` // the shape in words
	Figures               // of the last run without timing of the nodes
	// TimingOverhead is how many times as long the execution took with the
	// clock at the nodes; 0 where it is not known.
	TimingOverhead float64 `json:"timing_overhead,omitempty"`
	// Plan is one with the times of its nodes.
	Plan *Plan `json:"plan,omitempty"`
}
