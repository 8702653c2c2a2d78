package shard

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"scaleproof/internal/invalid"
	"scaleproof/internal/unit"
)

// Mode says how writes are kept from being lost while rows move.
type Mode string

// The modes. Fenced copies from a snapshot, and at the cut-over refuses writes of
// the range while it copies again what has changed since; it works on every
// version. Online lets logical replication with row filters follow the writes, so
// that the fence lasts as long as the last of them: PostgreSQL 15 and
// wal_level=logical on the source.
const (
	Fenced Mode = "fenced" // the default
	Online Mode = "online"
)

// Config is the section shard of a plan: which organisations move, from where to
// where, and how every table belongs to them.
type Config struct {
	// Name names the move in the ledger, its triggers, its slot and its
	// publication.
	Name          string        `yaml:"name" json:"name"`
	Source        string        `yaml:"source" json:"source,omitempty"` // a Postgres node; zero: primary
	Target        string        `yaml:"target" json:"target"`           // a Postgres node
	Mode          Mode          `yaml:"mode" json:"mode,omitempty"`
	Organizations Organizations `yaml:"organizations" json:"organizations"`
	Schemas       []string      `yaml:"schemas" json:"schemas,omitempty"` // zero: public
	// Root is the table that has one row for each organisation, and RootKey its
	// column that names it; zero: organizations and id.
	Root    string `yaml:"root" json:"root,omitempty"`
	RootKey string `yaml:"root_key" json:"root_key,omitempty"`
	// Column is the organisation's column in the other tables; zero:
	// organization_id. Tables says where a table differs.
	Column   string          `yaml:"column" json:"column,omitempty"`
	Tables   []TableConfig   `yaml:"tables" json:"tables,omitempty"`
	Workers  int             `yaml:"workers" json:"workers,omitempty"` // copying at once; zero: 2
	Throttle Throttle        `yaml:"throttle" json:"throttle,omitempty"`
	Routing  RoutingConfig   `yaml:"routing" json:"routing"`
	Fence    unit.Duration   `yaml:"fence" json:"fence,omitempty"` // the longest that a fence may last; zero: 1 m
	Stall    unit.Duration   `yaml:"stall" json:"stall,omitempty"` // online: the longest without progress of the target while it is waited for; zero: 2 m
	Soak     unit.Duration   `yaml:"soak" json:"soak,omitempty"`   // before clean-up; zero: 24 h
	Shards   int             `yaml:"shards" json:"shards,omitempty"`
	Traffic  map[string]Rate `yaml:"traffic" json:"traffic,omitempty"`
	// SourceDSN is how the target's server reaches the source, for an online move;
	// zero: as this process does. The target keeps it, with its password.
	SourceDSN string `yaml:"source_dsn" json:"-"`
	// PgDump is the program that reads the schema; zero: pg_dump in PATH.
	PgDump string `yaml:"pg_dump" json:"pg_dump,omitempty"`
}

// Rate is the measured requests per second of an organisation.
type Rate = float64

// Class says how a table's rows belong to organisations.
type Class string

// The classes.
const (
	Root       Class = "root"        // one row for each organisation
	ByColumn   Class = "column"      // a column names the organisation
	ByKey      Class = "foreign key" // it refers to a row that belongs to one
	Reference  Class = "reference"   // shared by all: copied whole, never cleaned up
	Omitted    Class = "omitted"     // stays where it is
	unassigned Class = ""
)

// TableConfig says how a table belongs to organisations where its columns don't.
type TableConfig struct {
	Table  string `yaml:"table" json:"table"`             // with its schema where that is not the first
	Column string `yaml:"column" json:"column,omitempty"` // of the organisation
	Via    string `yaml:"via" json:"via,omitempty"`       // the foreign key by which it reaches one
	As     Class  `yaml:"as" json:"as,omitempty"`         // reference or omitted
}

// Throttle holds the copy back while the source has other worries. Zero fields
// set no limit.
type Throttle struct {
	ReplicaLag     unit.Duration `yaml:"replica_lag" json:"replica_lag,omitempty"`         // of the slowest replica
	ActiveSessions int           `yaml:"active_sessions" json:"active_sessions,omitempty"` // other than the copy's own
}

// RoutingConfig says where applications read which shard has an organisation.
// Exactly one field is set.
type RoutingConfig struct {
	ConfigMap string `yaml:"configmap" json:"configmap,omitempty"` // of the environment's Kubernetes
	File      string `yaml:"file" json:"file,omitempty"`           // JSON
	Table     string `yaml:"table" json:"table,omitempty"`         // on the source; with its schema where that is not the first
}

// The bounds of a configuration.
const (
	maxWorkers = 64
	maxShards  = 1024
)

// nameForm keeps names short enough for slots and triggers, and plain enough to
// stand in them.
var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// Validate returns the faults as joined *invalid.FieldErrors.
func (c Config) Validate() error {
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, invalid.Field(path, format, args...))
	}
	if !nameForm.MatchString(c.Name) {
		fault("name", "must be a small letter, then small letters, digits and _, 40 at most, and is %q", c.Name)
	}
	switch {
	case c.Target == "":
		fault("target", "is missing: the Postgres node that takes the organisations")
	case c.Target == c.source():
		fault("target", "is the source, %q", c.Target)
	}
	if c.Mode != "" && c.Mode != Fenced && c.Mode != Online {
		fault("mode", "must be fenced or online, and is %q", c.Mode)
	}
	if c.Workers < 0 || c.Workers > maxWorkers {
		fault("workers", "must be 1 to %d (0 or absent: %d), and is %d", maxWorkers, defaultWorkers, c.Workers)
	}
	if c.Shards < 0 || c.Shards > maxShards {
		fault("shards", "must be 1 to %d, and is %d", maxShards, c.Shards)
	}
	faults = append(faults, invalid.In("organizations", c.Organizations.validate()), invalid.In("routing", c.Routing.validate()), c.validateTables())
	for name, rate := range c.Traffic {
		if rate < 0 {
			fault("traffic", "organisation %s has the negative rate %v", name, rate)
		}
	}
	return errors.Join(faults...)
}

func (r RoutingConfig) validate() error {
	set := 0
	for _, name := range []string{r.ConfigMap, r.File, r.Table} {
		if name != "" {
			set++
		}
	}
	if set != 1 {
		return invalid.Field("", "names %d places: name one of configmap, file and table", set)
	}
	return nil
}

func (c Config) validateTables() error {
	var faults []error
	seen := map[string]bool{}
	for i, t := range c.Tables {
		at := fmt.Sprintf("tables[%d]", i)
		set := 0
		for _, name := range []string{t.Column, t.Via, string(t.As)} {
			if name != "" {
				set++
			}
		}
		switch {
		case t.Table == "":
			faults = append(faults, invalid.Field(at+".table", "is missing"))
		case seen[t.Table]:
			faults = append(faults, invalid.Field(at+".table", "%q stands twice", t.Table))
		case set != 1:
			faults = append(faults, invalid.Field(at, "says %d things of %s: say one of column, via and as", set, t.Table))
		case t.As != unassigned && t.As != Reference && t.As != Omitted:
			faults = append(faults, invalid.Field(at+".as", "must be reference or omitted, and is %q", t.As))
		}
		seen[t.Table] = true
	}
	return errors.Join(faults...)
}

const defaultWorkers = 2

// SourceNode returns the name of the node that the rows come from.
func (c Config) SourceNode() string { return c.source() }

func (c Config) source() string  { return orDefault(c.Source, "primary") }
func (c Config) root() string    { return orDefault(c.Root, "organizations") }
func (c Config) rootKey() string { return orDefault(c.RootKey, "id") }
func (c Config) column() string  { return orDefault(c.Column, "organization_id") }
func (c Config) mode() Mode      { return orDefault(c.Mode, Fenced) }
func (c Config) stall() time.Duration {
	return orDefault(c.Stall.Std(), defaultStall)
}
func (c Config) workers() int { return orDefault(c.Workers, defaultWorkers) }

func (c Config) schemas() []string {
	if len(c.Schemas) == 0 {
		return []string{"public"}
	}
	return c.Schemas
}

// RoutingTable returns the schema and the name of the table of the routing.
func (c Config) RoutingTable() (schema, name string) {
	if schema, name, ok := strings.Cut(c.Routing.Table, "."); ok {
		return schema, name
	}
	return c.schemas()[0], c.Routing.Table
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
