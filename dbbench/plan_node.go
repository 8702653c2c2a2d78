package dbbench

// A PlanNode is one node of a plan. What Postgres left out is zero. The names
// are those of EXPLAIN (FORMAT JSON), from the tags.
type PlanNode struct {
	Type string `json:"type" plan:"Node Type"`
	// Relationship is to the parent: Outer, Inner, InitPlan, SubPlan, Member,
	// Subquery.
	Relationship string `json:"relationship,omitempty" plan:"Parent Relationship"`
	SubplanName  string `json:"subplan_name,omitempty" plan:"Subplan Name"`
	Relation     string `json:"relation,omitempty" plan:"Relation Name"`
	Schema       string `json:"schema,omitempty" plan:"Schema"` // with VERBOSE only
	Alias        string `json:"alias,omitempty" plan:"Alias"`
	Index        string `json:"index,omitempty" plan:"Index Name"`
	// Source is what a scan of something else than a table reads: a function, a
	// CTE, a transition table.
	Source        string `json:"source,omitempty" plan:"Function Name|Table Function Name|CTE Name|Tuplestore Name|Custom Plan Provider"`
	JoinType      string `json:"join_type,omitempty" plan:"Join Type"`
	Strategy      string `json:"strategy,omitempty" plan:"Strategy"`
	PartialMode   string `json:"partial_mode,omitempty" plan:"Partial Mode"`
	Operation     string `json:"operation,omitempty" plan:"Operation"`
	Command       string `json:"command,omitempty" plan:"Command"`
	Direction     string `json:"direction,omitempty" plan:"Scan Direction"`
	ParallelAware bool   `json:"parallel_aware,omitempty" plan:"Parallel Aware"`
	AsyncCapable  bool   `json:"async_capable,omitempty" plan:"Async Capable"`
	InnerUnique   bool   `json:"inner_unique,omitempty" plan:"Inner Unique"`
	SingleCopy    bool   `json:"single_copy,omitempty" plan:"Single Copy"`
	Disabled      bool   `json:"disabled,omitempty" plan:"Disabled"` // from 18: a setting forbids it, and nothing else is possible

	// Condition joins all conditions below in a fixed order.
	Condition string `json:"condition,omitempty"`
	Conditions

	StartupCost float64 `json:"startup_cost,omitempty" plan:"Startup Cost"`
	TotalCost   float64 `json:"total_cost,omitempty" plan:"Total Cost"`
	PlanRows    float64 `json:"plan_rows" plan:"Plan Rows"` // a loop
	PlanWidth   float64 `json:"plan_width,omitempty" plan:"Plan Width"`
	Analyzed    bool    `json:"analyzed"`                       // it was executed, and the actual figures are measured
	ActualRows  float64 `json:"actual_rows" plan:"Actual Rows"` // a loop; fractional from 18
	Loops       float64 `json:"loops" plan:"Actual Loops"`
	StartupTime float64 `json:"startup_time,omitempty" plan:"Actual Startup Time"` // ms a loop
	TotalTime   float64 `json:"total_time" plan:"Actual Total Time"`               // ms a loop, children included

	Blocks      float64 `json:"blocks"`                // touched; children included
	TempBlocks  float64 `json:"temp_blocks,omitempty"` // read and written; children included
	RowsRemoved float64 `json:"rows_removed"`          // a loop: by filters, joins and rechecks
	Removed
	Buffers BufferUsage `json:"buffers,omitzero"`
	Details

	Workers  []PlanWorker   `json:"workers,omitempty" plan:"Workers"`
	Extra    map[string]any `json:"extra,omitempty"` // what no field is for, under Postgres's names
	Children []*PlanNode    `json:"children,omitempty"`
}

// Conditions are what the rows of a node must meet, and the order and grouping
// that it makes.
type Conditions struct {
	IndexCond      string        `json:"index_cond,omitempty" plan:"Index Cond"`
	RecheckCond    string        `json:"recheck_cond,omitempty" plan:"Recheck Cond"`
	TIDCond        string        `json:"tid_cond,omitempty" plan:"TID Cond"`
	HashCond       string        `json:"hash_cond,omitempty" plan:"Hash Cond"`
	MergeCond      string        `json:"merge_cond,omitempty" plan:"Merge Cond"`
	JoinFilter     string        `json:"join_filter,omitempty" plan:"Join Filter"`
	Filter         string        `json:"filter,omitempty" plan:"Filter"`
	OneTimeFilter  string        `json:"one_time_filter,omitempty" plan:"One-Time Filter"`
	RunCondition   string        `json:"run_condition,omitempty" plan:"Run Condition"`
	ConflictFilter string        `json:"conflict_filter,omitempty" plan:"Conflict Filter"`
	OrderBy        string        `json:"order_by,omitempty" plan:"Order By"` // of an index that gives distances
	CacheKey       string        `json:"cache_key,omitempty" plan:"Cache Key"`
	SortKey        []string      `json:"sort_key,omitempty" plan:"Sort Key"`
	PresortedKey   []string      `json:"presorted_key,omitempty" plan:"Presorted Key"`
	GroupKey       []string      `json:"group_key,omitempty" plan:"Group Key"`
	GroupingSets   []GroupingSet `json:"grouping_sets,omitempty" plan:"Grouping Sets"`
}

// A GroupingSet is one of several groupings of an aggregate.
type GroupingSet struct {
	SortKey   []string       `json:"sort_key,omitempty" plan:"Sort Key"`
	GroupKeys [][]string     `json:"group_keys,omitempty" plan:"Group Keys"`
	HashKeys  [][]string     `json:"hash_keys,omitempty" plan:"Hash Keys"`
	Extra     map[string]any `json:"extra,omitempty"`
}

// Removed counts the rows a loop that were read and thrown away, by reason.
type Removed struct {
	ByFilter         float64 `json:"removed_by_filter,omitempty" plan:"Rows Removed by Filter"`
	ByJoinFilter     float64 `json:"removed_by_join_filter,omitempty" plan:"Rows Removed by Join Filter"`
	ByIndexRecheck   float64 `json:"removed_by_index_recheck,omitempty" plan:"Rows Removed by Index Recheck"`
	ByConflictFilter float64 `json:"removed_by_conflict_filter,omitempty" plan:"Rows Removed by Conflict Filter"`
}

// Details are what only some types of node have. Sizes are KiB.
type Details struct {
	HeapFetches         float64    `json:"heap_fetches,omitempty" plan:"Heap Fetches"`     // of an index-only scan: rows that needed the table
	IndexSearches       float64    `json:"index_searches,omitempty" plan:"Index Searches"` // from 18
	ExactHeapBlocks     float64    `json:"exact_heap_blocks,omitempty" plan:"Exact Heap Blocks"`
	LossyHeapBlocks     float64    `json:"lossy_heap_blocks,omitempty" plan:"Lossy Heap Blocks"`
	SortMethod          string     `json:"sort_method,omitempty" plan:"Sort Method"`
	SortSpace           float64    `json:"sort_space,omitempty" plan:"Sort Space Used"`
	SortSpaceType       string     `json:"sort_space_type,omitempty" plan:"Sort Space Type"` // Memory or Disk
	FullSortGroups      *SortGroup `json:"full_sort_groups,omitempty" plan:"Full-sort Groups"`
	PresortedGroups     *SortGroup `json:"presorted_groups,omitempty" plan:"Pre-sorted Groups"`
	HashBuckets         float64    `json:"hash_buckets,omitempty" plan:"Hash Buckets"`
	OriginalHashBuckets float64    `json:"original_hash_buckets,omitempty" plan:"Original Hash Buckets"`
	HashBatches         float64    `json:"hash_batches,omitempty" plan:"Hash Batches"`
	OriginalHashBatches float64    `json:"original_hash_batches,omitempty" plan:"Original Hash Batches"`
	PlannedPartitions   float64    `json:"planned_partitions,omitempty" plan:"Planned Partitions"`
	HashAggBatches      float64    `json:"hashagg_batches,omitempty" plan:"HashAgg Batches"`
	PeakMemory          float64    `json:"peak_memory,omitempty" plan:"Peak Memory Usage"`
	DiskUsage           float64    `json:"disk_usage,omitempty" plan:"Disk Usage"`
	Storage             string     `json:"storage,omitempty" plan:"Storage"` // from 18: Memory or Disk
	MaximumStorage      float64    `json:"maximum_storage,omitempty" plan:"Maximum Storage"`
	CacheMode           string     `json:"cache_mode,omitempty" plan:"Cache Mode"` // of Memoize
	CacheHits           float64    `json:"cache_hits,omitempty" plan:"Cache Hits"`
	CacheMisses         float64    `json:"cache_misses,omitempty" plan:"Cache Misses"`
	CacheEvictions      float64    `json:"cache_evictions,omitempty" plan:"Cache Evictions"`
	CacheOverflows      float64    `json:"cache_overflows,omitempty" plan:"Cache Overflows"`
	WorkersPlanned      float64    `json:"workers_planned,omitempty" plan:"Workers Planned"`
	WorkersLaunched     float64    `json:"workers_launched,omitempty" plan:"Workers Launched"`
	ParamsEvaluated     []string   `json:"params_evaluated,omitempty" plan:"Params Evaluated"`
	SubplansRemoved     float64    `json:"subplans_removed,omitempty" plan:"Subplans Removed"`
	Window              string     `json:"window,omitempty" plan:"Window"` // from 18
	FunctionCall        string     `json:"function_call,omitempty" plan:"Function Call|Table Function Call"`
	Output              []string   `json:"output,omitempty" plan:"Output"`
	RemoteSQL           string     `json:"remote_sql,omitempty" plan:"Remote SQL"`
	Relations           string     `json:"relations,omitempty" plan:"Relations"` // of a join on a foreign server
	SamplingMethod      string     `json:"sampling_method,omitempty" plan:"Sampling Method"`
	SamplingParameters  []string   `json:"sampling_parameters,omitempty" plan:"Sampling Parameters"`
	RepeatableSeed      string     `json:"repeatable_seed,omitempty" plan:"Repeatable Seed"`
	ConflictResolution  string     `json:"conflict_resolution,omitempty" plan:"Conflict Resolution"`
	ConflictArbiters    []string   `json:"conflict_arbiters,omitempty" plan:"Conflict Arbiter Indexes"`
	ConflictingTuples   float64    `json:"conflicting_tuples,omitempty" plan:"Conflicting Tuples"`
	TuplesInserted      float64    `json:"tuples_inserted,omitempty" plan:"Tuples Inserted"`
	TuplesUpdated       float64    `json:"tuples_updated,omitempty" plan:"Tuples Updated"`
	TuplesDeleted       float64    `json:"tuples_deleted,omitempty" plan:"Tuples Deleted"`
	TuplesSkipped       float64    `json:"tuples_skipped,omitempty" plan:"Tuples Skipped"`
}

// A SortGroup is what an incremental sort says of the groups that it sorted.
type SortGroup struct {
	Count   float64        `json:"count" plan:"Group Count"`
	Methods []string       `json:"methods,omitempty" plan:"Sort Methods Used"`
	Memory  *SortSpace     `json:"memory,omitempty" plan:"Sort Space Memory"`
	Disk    *SortSpace     `json:"disk,omitempty" plan:"Sort Space Disk"`
	Extra   map[string]any `json:"extra,omitempty"`
}

// A SortSpace is in KiB.
type SortSpace struct {
	Average float64        `json:"average" plan:"Average Sort Space Used"`
	Peak    float64        `json:"peak" plan:"Peak Sort Space Used"`
	Extra   map[string]any `json:"extra,omitempty"`
}

// A PlanWorker is what one parallel worker did of a node.
type PlanWorker struct {
	Number          float64        `json:"number" plan:"Worker Number"`
	ActualRows      float64        `json:"actual_rows" plan:"Actual Rows"`
	Loops           float64        `json:"loops" plan:"Actual Loops"`
	StartupTime     float64        `json:"startup_time,omitempty" plan:"Actual Startup Time"`
	TotalTime       float64        `json:"total_time,omitempty" plan:"Actual Total Time"`
	SortMethod      string         `json:"sort_method,omitempty" plan:"Sort Method"`
	SortSpace       float64        `json:"sort_space,omitempty" plan:"Sort Space Used"`
	SortSpaceType   string         `json:"sort_space_type,omitempty" plan:"Sort Space Type"`
	FullSortGroups  *SortGroup     `json:"full_sort_groups,omitempty" plan:"Full-sort Groups"`
	PresortedGroups *SortGroup     `json:"presorted_groups,omitempty" plan:"Pre-sorted Groups"`
	HashAggBatches  float64        `json:"hashagg_batches,omitempty" plan:"HashAgg Batches"`
	PeakMemory      float64        `json:"peak_memory,omitempty" plan:"Peak Memory Usage"`
	DiskUsage       float64        `json:"disk_usage,omitempty" plan:"Disk Usage"`
	CacheHits       float64        `json:"cache_hits,omitempty" plan:"Cache Hits"`
	CacheMisses     float64        `json:"cache_misses,omitempty" plan:"Cache Misses"`
	CacheEvictions  float64        `json:"cache_evictions,omitempty" plan:"Cache Evictions"`
	CacheOverflows  float64        `json:"cache_overflows,omitempty" plan:"Cache Overflows"`
	ExactHeapBlocks float64        `json:"exact_heap_blocks,omitempty" plan:"Exact Heap Blocks"`
	LossyHeapBlocks float64        `json:"lossy_heap_blocks,omitempty" plan:"Lossy Heap Blocks"`
	JIT             *JIT           `json:"jit,omitempty" plan:"JIT"`
	Buffers         BufferUsage    `json:"buffers,omitzero"`
	Extra           map[string]any `json:"extra,omitempty"`
}
