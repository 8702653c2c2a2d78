package shard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Catalog is the tables of the source, classified, parents before the tables
// that refer to them.
type Catalog struct {
	Tables   []*Table
	Warnings []string // what a person should know and a move survives

	organizations Organizations
	key           keyType
}

// An UnclassifiedError names what the plan must say before anything can move.
type UnclassifiedError struct{ Faults []string }

func (e *UnclassifiedError) Error() string {
	return "the tables can't be moved as the plan says:\n  " + strings.Join(e.Faults, "\n  ")
}

// classify finds how each table belongs to organisations. It fails with an
// *UnclassifiedError.
func classify(tables []*Table, c Config) (*Catalog, error) {
	k := &classifier{config: c, byName: map[string]*Table{}}
	for _, t := range tables {
		k.byName[t.String()] = t
	}
	k.configured()
	k.byColumn(tables)
	k.byForeignKey(tables)
	k.check(tables)
	if len(k.faults) > 0 {
		return nil, &UnclassifiedError{k.faults}
	}
	root := k.find(c.root())
	column, _ := root.column(c.rootKey())
	key, err := keyTypeOf(column.Type)
	if err != nil {
		return nil, &UnclassifiedError{[]string{fmt.Sprintf("%s.%s is of type %s: %v", root, column.Name, column.Type, err)}}
	}
	if err := c.Organizations.inOrder(key); err != nil {
		return nil, &UnclassifiedError{[]string{err.Error()}}
	}
	return &Catalog{Tables: k.ordered(tables), Warnings: k.warnings, organizations: c.Organizations, key: key}, nil
}

type classifier struct {
	config   Config
	byName   map[string]*Table
	faults   []string
	warnings []string
}

func (k *classifier) fault(format string, args ...any) {
	k.faults = append(k.faults, fmt.Sprintf(format, args...))
}

func (k *classifier) warn(format string, args ...any) {
	k.warnings = append(k.warnings, fmt.Sprintf(format, args...))
}

// find returns the table of a name, with or without its schema, or nil.
func (k *classifier) find(name string) *Table {
	if t, ok := k.byName[name]; ok {
		return t
	}
	return k.byName[k.config.schemas()[0]+"."+name]
}

// configured takes what the plan says of single tables.
func (k *classifier) configured() {
	root := k.find(k.config.root())
	if root == nil {
		k.fault("there is no table %s, which should have a row for each organisation: name it by root", k.config.root())
	} else if _, ok := root.column(k.config.rootKey()); !ok {
		k.fault("%s has no column %s: name the organisation's key by root_key", root, k.config.rootKey())
	} else {
		root.Class, root.Column = Root, k.config.rootKey()
	}
	for _, tc := range k.config.Tables {
		t := k.find(tc.Table)
		if t == nil {
			k.fault("the plan names the table %s, which is not there", tc.Table)
			continue
		}
		switch {
		case tc.As != unassigned:
			t.Class = tc.As
		case tc.Column != "":
			t.Class, t.Column = ByColumn, tc.Column
			if _, ok := t.column(tc.Column); !ok {
				k.fault("%s has no column %s", t, tc.Column)
			}
		default:
			i := slices.IndexFunc(t.ForeignKeys, func(f ForeignKey) bool { return f.Name == tc.Via })
			if i < 0 {
				k.fault("%s has no foreign key %s", t, tc.Via)
				continue
			}
			t.Class, t.Via = ByKey, &t.ForeignKeys[i]
		}
	}
}

func (k *classifier) byColumn(tables []*Table) {
	for _, t := range tables {
		if _, ok := t.column(k.config.column()); ok && t.Class == unassigned {
			t.Class, t.Column = ByColumn, k.config.column()
		}
	}
}

// byForeignKey goes outwards from the tables that belong to organisations, so that
// a table takes the shortest way. Of several as short ones a key that is never
// null wins, then the first by name.
func (k *classifier) byForeignKey(tables []*Table) {
	for {
		found := map[*Table]*ForeignKey{}
		for _, t := range tables {
			if t.Class != unassigned {
				continue
			}
			ways := k.ways(t)
			if len(ways) == 0 {
				continue
			}
			found[t] = ways[0]
			if len(ways) > 1 {
				k.warn("%s reaches an organisation by %d foreign keys and takes %s: name another by via", t, len(ways), ways[0].Name)
			}
		}
		if len(found) == 0 {
			return
		}
		for t, via := range found {
			t.Class, t.Via = ByKey, via
		}
	}
}

// ways returns the foreign keys that lead to an organisation, the best first.
func (k *classifier) ways(t *Table) []*ForeignKey {
	var ways []*ForeignKey
	for i := range t.ForeignKeys {
		f := &t.ForeignKeys[i]
		if to := k.byName[f.To]; to != nil && to != t && to.owned() {
			ways = append(ways, f)
		}
	}
	slices.SortStableFunc(ways, func(a, b *ForeignKey) int {
		return boolOrder(t.nullable(a.Columns), t.nullable(b.Columns))
	})
	return ways
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// owned reports whether each row belongs to one organisation.
func (t *Table) owned() bool { return t.Class == Root || t.Class == ByColumn || t.Class == ByKey }

func (t *Table) nullable(columns []string) bool {
	return slices.ContainsFunc(columns, func(name string) bool {
		c, _ := t.column(name)
		return !c.NotNull
	})
}

// check looks for what would fail later.
func (k *classifier) check(tables []*Table) {
	for _, t := range tables {
		switch {
		case t.Class == unassigned:
			k.fault("%s has no column %s and no foreign key to a table that belongs to organisations: say in tables which column, or as: reference or omitted",
				t, k.config.column())
		case t.Class == Omitted:
		case t.Class == ByKey && !k.reachesRoot(t):
			k.fault("%s does not reach an organisation by %s", t, t.Via.Name)
		}
		if t.Class == ByKey && t.nullable(t.Via.Columns) || t.Class == ByColumn && t.nullable([]string{t.Column}) {
			k.warn("%s may have rows of no organisation, which stay on the source", t)
		}
		k.checkForeignKeys(t)
	}
}

// reachesRoot follows the keys that the plan names, which may lead astray.
func (k *classifier) reachesRoot(t *Table) bool {
	for range k.byName {
		if t == nil || t.Class != ByKey {
			return t != nil && t.owned()
		}
		t = k.byName[t.Via.To]
	}
	return false
}

func (k *classifier) checkForeignKeys(t *Table) {
	if t.Class == Omitted || t.Class == unassigned {
		return
	}
	for _, f := range t.ForeignKeys {
		to := k.byName[f.To]
		switch {
		case to == nil:
			k.fault("%s refers by %s to %s, which is in none of the schemas: add its schema", t, f.Name, f.To)
		case to.Class == Omitted:
			k.fault("%s refers by %s to %s, which the plan omits: the key would be violated on the target", t, f.Name, f.To)
		case t.Class == Reference && to.owned():
			k.fault("%s is shared by all, and refers by %s to %s, whose rows belong to organisations", t, f.Name, f.To)
		}
	}
}

// moved returns the tables whose rows move or are shared, parents first.
func (c *Catalog) moved() []*Table {
	return slices.DeleteFunc(slices.Clone(c.Tables), func(t *Table) bool { return t.Class == Omitted })
}

// owned returns the tables whose rows belong to organisations, parents first.
func (c *Catalog) owned() []*Table {
	return slices.DeleteFunc(slices.Clone(c.Tables), func(t *Table) bool { return !t.owned() })
}

func (c *Catalog) table(name string) *Table {
	for _, t := range c.Tables {
		if t.String() == name {
			return t
		}
	}
	return nil
}

// where returns the condition that the row named by alias belongs to the
// organisations that move; of a reference table all do.
func (c *Catalog) where(t *Table, alias string) string {
	return c.whereOf(t, alias, c.organizations, 1)
}

func (c *Catalog) whereOf(t *Table, alias string, set Organizations, depth int) string {
	switch t.Class {
	case Root, ByColumn:
		return set.where(alias+"."+ident(t.Column), c.key)
	case ByKey:
		parent, p := c.table(t.Via.To), fmt.Sprintf("p%d", depth)
		match := make([]string, 0, len(t.Via.Columns)+1)
		for i, column := range t.Via.Columns {
			match = append(match, p+"."+ident(t.Via.ToColumns[i])+" = "+alias+"."+ident(column))
		}
		match = append(match, c.whereOf(parent, p, set, depth+1))
		return "EXISTS (SELECT FROM " + parent.from() + " " + p + " WHERE " + strings.Join(match, " AND ") + ")"
	}
	return "true"
}

// organization returns an expression for the organisation of the row named by
// alias.
func (c *Catalog) organization(t *Table, alias string, depth int) string {
	if t.Class != ByKey {
		return alias + "." + ident(t.Column)
	}
	parent, p := c.table(t.Via.To), fmt.Sprintf("p%d", depth)
	match := make([]string, len(t.Via.Columns))
	for i, column := range t.Via.Columns {
		match[i] = p + "." + ident(t.Via.ToColumns[i]) + " = " + alias + "." + ident(column)
	}
	return "(SELECT " + c.organization(parent, p, depth+1) + " FROM " + parent.from() + " " + p + " WHERE " + strings.Join(match, " AND ") + ")"
}

// errNoTables is that the schemas hold no table.
var errNoTables = errors.New("the schemas of the plan hold no tables: is this the right database?")
