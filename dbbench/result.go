// Package dbbench measures a Postgres database: query plans and times by
// EXPLAIN ANALYZE, and the statistics views before and after.
package dbbench

import (
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
