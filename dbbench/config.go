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
	// Suite is a file of queries, YAML or .sql with named comments, or the name
	// of one that is built in: "runbook". Queries stand in for it, or beside it.
	Suite   string  `yaml:"suite" json:"suite,omitempty"`
	Queries []Query `yaml:"queries" json:"queries,omitempty"`
	// Node is where the queries run that name no node; zero: the first of the
	// environment, its primary.
	Node Placement `yaml:"node" json:"node,omitzero"`
	// Repetitions of each case in a trial; zero: 5. Warmup runs come before
	// them; zero: 1.
	Repetitions int `yaml:"repetitions" json:"repetitions,omitempty"`
	Warmup      int `yaml:"warmup" json:"warmup,omitempty"`
	// Plans says with which plans a query with parameters runs: "custom", made
	// for its values; "generic", made for any, as a prepared statement may turn
	// to after five runs; or "both", the default.
	Plans string `yaml:"plans" json:"plans,omitempty"`
	// Statistics is which views to capture around the measurement: "all" or
	// "none" (the default).
	Statistics string `yaml:"statistics" json:"statistics,omitempty"`
	// StatementTimeout bounds each statement; zero: 60 s. Budget bounds the
	// whole suite in a trial; zero: no bound.
	StatementTimeout unit.Duration `yaml:"statement_timeout" json:"statement_timeout,omitempty"`
	Budget           unit.Duration `yaml:"budget" json:"budget,omitempty"`
	// Load is load of the suite by many clients, after the suite in each trial;
	// nil: none.
	Load *LoadConfig `yaml:"load" json:"load,omitempty"`
	// AllowWrites lets data-changing statements run; they are rolled back.
	AllowWrites bool   `yaml:"allow_writes" json:"allow_writes,omitempty"`
	Seed        uint64 `yaml:"seed" json:"seed,omitempty"`
}

// A Query is one statement of a suite; with its parameters it gives one case or
// several. At most one of Args, ArgsFrom, Organizations and Random is set.
type Query struct {
	Name string `yaml:"name" json:"name"`
	SQL  string `yaml:"sql" json:"sql"`
	// Node is where it runs; zero: where Config.Node says. Its arguments are drawn
	// there, too, unless an earlier result has them.
	Node Placement `yaml:"node" json:"node,omitzero"`
	// Args are the values of $1, $2, ... as text.
	Args []string `yaml:"args" json:"args,omitempty"`
	// ArgsFrom is a query of which each row gives a case: its first column
	// names the case, the others are $1, $2, ...
	ArgsFrom string `yaml:"args_from" json:"args_from,omitempty"`
	// Organizations is a column, "table.column" or "schema.table.column": $1 is
	// its value with few, a median number of, many, and the most rows, which
	// gives the cases small, median, large and largest. "table.column WHERE condition"
	// looks among those rows of the table alone.
	Organizations string `yaml:"organizations" json:"organizations,omitempty"`
	// Random draws each value: "int(1, 1000)", "zipf(1, 1000, 1.1)",
	// "float(0, 1)" or "choice(open, resolved)". In a suite they are drawn once
	// from the seed, under load for each execution.
	Random []string `yaml:"random" json:"random,omitempty"`
	// Weight is the share of the query in a load of the suite, beside the
	// others; zero: 1.
	Weight float64 `yaml:"weight" json:"weight,omitempty"`
}
