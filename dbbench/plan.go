package dbbench

import "encoding/json"

// A Plan is a decoded EXPLAIN (FORMAT JSON). Times are milliseconds, as
// Postgres gives them.
type Plan struct {
	Root          *PlanNode `json:"root"`
	PlanningTime  float64   `json:"planning_time" plan:"Planning Time"`
	ExecutionTime float64   `json:"execution_time" plan:"Execution Time"`
	// Settings are those of the planner that are not at their defaults.
	Settings      map[string]string `json:"settings,omitempty" plan:"Settings"`
	Planning      *Planning         `json:"planning,omitempty" plan:"Planning"`
	JIT           *JIT              `json:"jit,omitempty" plan:"JIT"`
	Serialization *Serialization    `json:"serialization,omitempty" plan:"Serialization"`
	Triggers      []Trigger         `json:"triggers,omitempty" plan:"Triggers"`
	QueryID       json.Number       `json:"query_id,omitempty" plan:"Query Identifier"`
	QueryText     string            `json:"query_text,omitempty" plan:"Query Text"` // of auto_explain
	Extra         map[string]any    `json:"extra,omitempty"`                        // what no field above is for
	Raw           json.RawMessage   `json:"raw,omitempty"`
}

// Planning is what making the plan used.
type Planning struct {
	BufferUsage
	MemoryUsed      float64        `json:"memory_used,omitempty" plan:"Memory Used"` // KiB; from 17
	MemoryAllocated float64        `json:"memory_allocated,omitempty" plan:"Memory Allocated"`
	Extra           map[string]any `json:"extra,omitempty"`
}

// JIT is the work of the just-in-time compiler.
type JIT struct {
	Functions float64         `json:"functions" plan:"Functions"`
	Options   map[string]bool `json:"options,omitempty" plan:"Options"`
	Timing    JITTiming       `json:"timing" plan:"Timing"`
	Worker    *float64        `json:"worker,omitempty" plan:"Worker Number"`
	Extra     map[string]any  `json:"extra,omitempty"`
}

// JITTiming is in milliseconds.
type JITTiming struct {
	Generation   JITGeneration  `json:"generation,omitzero" plan:"Generation"`
	Inlining     float64        `json:"inlining,omitempty" plan:"Inlining"`
	Optimization float64        `json:"optimization,omitempty" plan:"Optimization"`
	Emission     float64        `json:"emission,omitempty" plan:"Emission"`
	Total        float64        `json:"total,omitempty" plan:"Total"`
	Extra        map[string]any `json:"extra,omitempty"`
}

// JITGeneration is in milliseconds. Deform is a part of Total, from 17.
type JITGeneration struct {
	Deform float64        `json:"deform,omitempty" plan:"Deform"`
	Total  float64        `json:"total" plan:"Total"`
	Extra  map[string]any `json:"extra,omitempty"`
}

// Serialization is the conversion of the rows to what the client would get,
// from 17.
type Serialization struct {
	BufferUsage
	Time   float64        `json:"time,omitempty" plan:"Time"`
	Volume float64        `json:"volume,omitempty" plan:"Output Volume"` // KiB
	Format string         `json:"format,omitempty" plan:"Format"`
	Extra  map[string]any `json:"extra,omitempty"`
}

// Trigger is the work of one trigger.
type Trigger struct {
	Name       string         `json:"name,omitempty" plan:"Trigger Name"`
	Constraint string         `json:"constraint,omitempty" plan:"Constraint Name"`
	Relation   string         `json:"relation,omitempty" plan:"Relation"`
	Time       float64        `json:"time,omitempty" plan:"Time"`
	Calls      float64        `json:"calls,omitempty" plan:"Calls"`
	Extra      map[string]any `json:"extra,omitempty"`
}

// BufferUsage counts blocks, and the milliseconds spent on them where
// track_io_timing is on. Of a node, its children are included.
type BufferUsage struct {
	SharedHit       float64 `json:"shared_hit,omitempty" plan:"Shared Hit Blocks"`
	SharedRead      float64 `json:"shared_read,omitempty" plan:"Shared Read Blocks"`
	SharedDirtied   float64 `json:"shared_dirtied,omitempty" plan:"Shared Dirtied Blocks"`
	SharedWritten   float64 `json:"shared_written,omitempty" plan:"Shared Written Blocks"`
	LocalHit        float64 `json:"local_hit,omitempty" plan:"Local Hit Blocks"`
	LocalRead       float64 `json:"local_read,omitempty" plan:"Local Read Blocks"`
	LocalDirtied    float64 `json:"local_dirtied,omitempty" plan:"Local Dirtied Blocks"`
	LocalWritten    float64 `json:"local_written,omitempty" plan:"Local Written Blocks"`
	TempRead        float64 `json:"temp_read,omitempty" plan:"Temp Read Blocks"`
	TempWritten     float64 `json:"temp_written,omitempty" plan:"Temp Written Blocks"`
	SharedReadTime  float64 `json:"shared_read_time,omitempty" plan:"Shared I/O Read Time|I/O Read Time"`
	SharedWriteTime float64 `json:"shared_write_time,omitempty" plan:"Shared I/O Write Time|I/O Write Time"`
	LocalReadTime   float64 `json:"local_read_time,omitempty" plan:"Local I/O Read Time"`
	LocalWriteTime  float64 `json:"local_write_time,omitempty" plan:"Local I/O Write Time"`
	TempReadTime    float64 `json:"temp_read_time,omitempty" plan:"Temp I/O Read Time"`
	TempWriteTime   float64 `json:"temp_write_time,omitempty" plan:"Temp I/O Write Time"`
	WALRecords      float64 `json:"wal_records,omitempty" plan:"WAL Records"`
	WALFPI          float64 `json:"wal_fpi,omitempty" plan:"WAL FPI"` // full-page images
	WALBytes        float64 `json:"wal_bytes,omitempty" plan:"WAL Bytes"`
	WALBuffersFull  float64 `json:"wal_buffers_full,omitempty" plan:"WAL Buffers Full"`
}

// Touched returns the blocks that were looked at, shared and local, whether
// they were in the cache or not.
func (b BufferUsage) Touched() float64 { return b.SharedHit + b.SharedRead + b.LocalHit + b.LocalRead }
