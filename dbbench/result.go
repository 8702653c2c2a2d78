// Package dbbench measures a Postgres database: query plans and times by
// EXPLAIN ANALYZE, and the statistics views before and after.
package dbbench

import (
	"encoding/json"
	"time"

	"scaleproof/internal/stats"
)

// A Result is what one trial of a suite measured on one node.
type Result struct {
	Node      string       `json:"node"`
	StartedAt time.Time    `json:"started_at"`
	Version   string       `json:"version"`
	Cases     []CaseResult `json:"cases"`
	Warnings  []string     `json:"warnings,omitempty"`
}

// A CaseResult is one query with one set of parameters. Times are seconds.
type CaseResult struct {
	Name string `json:"name"` // part of metric names: db.<name>.time.p50
	SQL  string `json:"sql"`
	// Error is why the case has no figures: it failed, timed out or was
	// cancelled. The suite goes on.
	Error string `json:"error,omitempty"`
	// ServerTime is planning and execution as EXPLAIN (ANALYZE, TIMING OFF)
	// states it; ClientTime is a plain run as the client saw it.
	ServerTime []float64        `json:"server_time,omitempty"`
	ClientTime []float64        `json:"client_time,omitempty"`
	Histogram  *stats.Histogram `json:"histogram,omitempty"` // of ClientTime

	Rows        float64 `json:"rows"`
	ResultHash  string  `json:"result_hash,omitempty"`
	Fingerprint string  `json:"fingerprint,omitempty"` // of the plan's shape
	Shape       string  `json:"shape,omitempty"`       // the shape in words
	Blocks      float64 `json:"blocks"`                // touched: shared and local, hit and read
	TempBlocks  float64 `json:"temp_blocks"`           // read and written
	RowsRemoved float64 `json:"rows_removed"`          // by filters
	QError      float64 `json:"q_error"`               // the worst of all nodes, at least 1
	Plan        *Plan   `json:"plan,omitempty"`
}

// A Plan is a decoded EXPLAIN (FORMAT JSON). Times are milliseconds, as
// Postgres gives them.
type Plan struct {
	Root          *PlanNode       `json:"root"`
	PlanningTime  float64         `json:"planning_time"`
	ExecutionTime float64         `json:"execution_time"`
	Raw           json.RawMessage `json:"raw,omitempty"`
}

// A PlanNode is one node of a plan. What Postgres left out is zero.
type PlanNode struct {
	Type        string      `json:"type"`
	Relation    string      `json:"relation,omitempty"`
	Index       string      `json:"index,omitempty"`
	JoinType    string      `json:"join_type,omitempty"`
	Condition   string      `json:"condition,omitempty"`
	PlanRows    float64     `json:"plan_rows"`   // a loop
	ActualRows  float64     `json:"actual_rows"` // a loop
	Loops       float64     `json:"loops"`
	TotalTime   float64     `json:"total_time"`   // ms a loop, children included
	Blocks      float64     `json:"blocks"`       // children included
	RowsRemoved float64     `json:"rows_removed"` // a loop
	TempBlocks  float64     `json:"temp_blocks,omitempty"`
	Analyzed    bool        `json:"analyzed"` // it was executed, and the actual figures are measured
	Children    []*PlanNode `json:"children,omitempty"`
}
