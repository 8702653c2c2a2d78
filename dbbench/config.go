package dbbench

import (
	"scaleproof/internal/unit"
)

// A Node is one Postgres server of the environment.
type Node struct {
	Name string `yaml:"name" json:"name"`
	DSN  string `yaml:"dsn" json:"-"`
}

// Config says what to measure of a database. Its YAML form stands in plans under
// measure.database.
type Config struct {
	// Suite is a file of queries: YAML, or .sql with named comments. Queries
	// stand in for it, or beside it.
	Suite   string  `yaml:"suite" json:"suite,omitempty"`
	Queries []Query `yaml:"queries" json:"queries,omitempty"`
	// Repetitions of each case in a trial; zero: 5. Warmup runs come before
	// them; zero: 1.
	Repetitions int `yaml:"repetitions" json:"repetitions,omitempty"`
	Warmup      int `yaml:"warmup" json:"warmup,omitempty"`
	// Statistics is which views to capture around the measurement: "all" or
	// "none" (the default).
	Statistics string `yaml:"statistics" json:"statistics,omitempty"`
	// StatementTimeout bounds each statement; zero: 60 s. Budget bounds the
	// whole suite in a trial; zero: no bound.
	StatementTimeout unit.Duration `yaml:"statement_timeout" json:"statement_timeout,omitempty"`
	Budget           unit.Duration `yaml:"budget" json:"budget,omitempty"`
	// AllowWrites lets data-changing statements run; they are rolled back.
	AllowWrites bool   `yaml:"allow_writes" json:"allow_writes,omitempty"`
	Seed        uint64 `yaml:"seed" json:"seed,omitempty"`
}

// A Query is one statement of a suite; with its parameters it gives one case or
// several.
type Query struct {
	Name string `yaml:"name" json:"name"`
	SQL  string `yaml:"sql" json:"sql"`
	// Args are the values of $1, $2, ... as text.
	Args []string `yaml:"args" json:"args,omitempty"`
	// ArgsFrom is a query of which each row gives a case: its first column
	// names the case, the others are $1, $2, ...
	ArgsFrom string `yaml:"args_from" json:"args_from,omitempty"`
}
