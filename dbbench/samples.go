package dbbench

import (
	"math"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// Samples returns the trial's metrics: for each case its time on the server and
// at the client, and what does not depend on the clock; db.<case>.generic.* are
// of the plan for any arguments. A case that failed has no value, and so never
// passes a gate.
func (r *Result) Samples() []snapshot.Sample {
	var samples []snapshot.Sample
	for _, c := range r.Cases {
		add := func(name string, base unit.Base, better snapshot.Direction, value float64) {
			if c.Error != "" {
				value = math.NaN()
			}
			samples = append(samples, snapshot.Sample{Name: "db." + c.Name + "." + name, Unit: base, Better: better, Value: value})
		}
		add("time.p50", unit.Seconds, snapshot.Lower, stats.Median(c.ServerTime))
		add("client.p50", unit.Seconds, snapshot.Lower, stats.Median(c.ClientTime))
		add("blocks", unit.Count, snapshot.Lower, c.Blocks)
		add("temp_blocks", unit.Count, snapshot.Lower, c.TempBlocks)
		add("rows_read", unit.Count, snapshot.Lower, c.RowsRead)
		add("rows_removed", unit.Count, snapshot.Lower, c.RowsRemoved)
		add("q_error", unit.Count, snapshot.Lower, c.QError)
		add("rows", unit.Count, snapshot.Neutral, c.Rows)
		if c.Generic != nil {
			add("generic.time.p50", unit.Seconds, snapshot.Lower, stats.Median(c.Generic.ServerTime))
			add("generic.client.p50", unit.Seconds, snapshot.Lower, stats.Median(c.Generic.ClientTime))
			add("generic.blocks", unit.Count, snapshot.Lower, c.Generic.Blocks)
		}
	}
	return samples
}
