package dbbench

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"scaleproof/internal/unit"
)

// longEnough is for how long indexes must have been counted for nobody to doubt
// that one is unused: a month has its end.
const longEnough = 31 * 24 * time.Hour

// unusedIndexes finds indexes that no node has scanned. Counters are local to each
// server, so that nothing is said while a standby was not read.
func (a *adviser) unusedIndexes() {
	var found []Advice
	for _, index := range a.captures[0].Views["indexes"] {
		if index["indisvalid"] == true && !keepsARule(index) && a.neverScanned(index) {
			found = append(found, a.unused(index))
		}
	}
	if len(found) == 0 {
		return
	}
	if unread := a.unreadStandbys(); len(unread) > 0 {
		a.note("%d indexes look unused on the nodes that were read, but not all replicas were, and their reads count on them alone: %s. Name each by --node", len(found), strings.Join(unread, "; "))
		return
	}
	if slices.ContainsFunc(a.nodes, func(n Node) bool {
		return !slices.ContainsFunc(a.captures, func(s *Statistics) bool { return s.Node == n.Name })
	}) {
		a.note("%d indexes look unused, but not all nodes could be read", len(found))
		return
	}
	sortAdvice(found)
	for _, advice := range found {
		a.say(advice)
	}
}

// keepsARule tells whether an index is there for something else than reading.
func keepsARule(index Row) bool {
	for _, column := range []string{"indisunique", "indisprimary", "indisexclusion", "indisreplident", "for_constraint", "of_partition"} {
		if index[column] == true {
			return true
		}
	}
	return false
}

// neverScanned tells whether no node has used the index, and each has counted it.
func (a *adviser) neverScanned(index Row) bool {
	for _, s := range a.captures {
		i := slices.IndexFunc(s.Views["pg_stat_user_indexes"], func(row Row) bool { return sameIndex(row, index) })
		if i < 0 && s.SystemIdentifier != a.captures[0].SystemIdentifier {
			continue // a shard without this index
		}
		if i < 0 {
			return false
		}
		if scans, known := s.Views["pg_stat_user_indexes"][i].Number("idx_scan"); !known || scans > 0 {
			return false
		}
	}
	return true
}

func sameIndex(a, b Row) bool {
	return a.Text("schemaname") == b.Text("schemaname") && a.Text("indexrelname") == b.Text("indexrelname")
}

func (a *adviser) unused(index Row) Advice {
	bytes, _ := index.Number("bytes")
	advice := Advice{
		Kind: UnusedIndex, Object: shortName(index, "indexrelname"), Bytes: bytes,
		Text:     fmt.Sprintf("drop the index %s of %s", index.Text("indexrelname"), shortName(index, "relname")),
		SQL:      "DROP INDEX CONCURRENTLY " + index.Text("qualified"),
		Evidence: []string{fmt.Sprintf("it takes %s and is written with its table: %s", unit.Format(bytes, unit.Bytes), index.Text("definition"))},
	}
	shortest := longEnough
	for _, s := range a.captures {
		shortest = min(shortest, counted(s))
		advice.Evidence = append(advice.Evidence, fmt.Sprintf("%s has not scanned it %s", s.Node, since(s)))
	}
	if shortest < longEnough {
		advice.Doubts = append(advice.Doubts, fmt.Sprintf("not all nodes have counted for longer than %s: what runs once a month may not have run", roundly(shortest)))
	}
	return advice
}

// counted returns for how long a node's counters have counted, as far as they
// tell: without a reset, since the server's start at least.
func counted(s *Statistics) time.Duration {
	if at, known := wiped(s); known {
		return s.CapturedAt.Sub(at)
	}
	return s.CapturedAt.Sub(s.ServerStartedAt)
}

// wiped returns when the counters of a node's database were reset, or lost in a crash
// since it was started.
func wiped(s *Statistics) (at time.Time, known bool) {
	if reset, ok := resetTime(s, "pg_stat_database").(string); ok {
		at, err := time.Parse(time.RFC3339, reset)
		return at, err == nil
	}
	text, _ := began(s).(string)
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil && at.After(s.ServerStartedAt)
}

// since says from when on a node has counted.
func since(s *Statistics) string {
	if _, known := wiped(s); known {
		return fmt.Sprintf("in the %s since its statistics were reset", roundly(counted(s)))
	}
	return fmt.Sprintf("in the %s since it was started, or before", roundly(counted(s)))
}

// roundly prints a length of time with one unit.
func roundly(d time.Duration) string {
	for _, u := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= 2*u.length {
			return fmt.Sprintf("%d %s", d/u.length, u.name)
		}
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// unreadStandbys says which standbys of the first node there are, or may be, beside
// those that were read: any that is connected to a node that was, whatever state it
// is in, and any that has a slot there and is not connected.
func (a *adviser) unreadStandbys() (words []string) {
	connected, read := 0, 0
	for _, s := range a.captures {
		if s.SystemIdentifier != a.captures[0].SystemIdentifier {
			continue // a shard has indexes of its own
		}
		read += len(s.Views["pg_stat_wal_receiver"]) // one that is not connected is counted nowhere
		senders, known := s.Views["pg_stat_replication"]
		slots, slotsKnown := s.Views["pg_replication_slots"]
		if !known || !slotsKnown {
			words = append(words, fmt.Sprintf("which standbys follow %s is unknown", s.Node))
		}
		logical := map[any]bool{}
		for _, slot := range slots {
			switch {
			case slot.Text("slot_type") == "logical":
				logical[slot["active_pid"]] = true
			case slot["active"] == false:
				words = append(words, fmt.Sprintf("%s has a slot %s of a standby that is not connected", s.Node, slot.Text("slot_name")))
			}
		}
		for _, row := range senders {
			if !logical[row["pid"]] && row.Text("state") != "backup" {
				connected++
			}
		}
	}
	if missing := connected - read; missing > 0 {
		words = append(words, fmt.Sprintf("%d standbys are connected that were not read", missing))
	}
	return words
}

// duplicateIndexes finds indexes whose work another does as well: one with the
// same keys, or where nothing but reading is at stake, a longer one that begins
// with them.
func (a *adviser) duplicateIndexes() {
	indexes := a.captures[0].Views["indexes"]
	var found []Advice
	for i, index := range indexes {
		if index["indisvalid"] != true || keepsARule(index) {
			continue
		}
		for j, other := range indexes {
			if i == j || other["indisvalid"] != true || !covers(other, index) {
				continue
			}
			// Of two that are alike one stays: the first, or the one that keeps
			// a rule.
			if covers(index, other) && !keepsARule(other) && j > i {
				continue
			}
			found = append(found, a.duplicate(index, other))
			break
		}
	}
	sortAdvice(found)
	for _, advice := range found {
		a.say(advice)
	}
}

// covers tells whether an index can do all that another does: on the same table,
// of the same kind and condition, with its keys first. Only a B-tree is searched
// by the first of its keys.
func covers(index, other Row) bool {
	for _, column := range []string{"indrelid", "amname", "condition"} {
		if index[column] != other[column] {
			return false
		}
	}
	keys, orders := index.list("keys"), index.list("orders")
	otherKeys, otherOrders := other.list("keys"), other.list("orders")
	if len(keys) < len(otherKeys) || len(otherKeys) == 0 || len(keys) != len(otherKeys) && index.Text("amname") != "btree" {
		return false
	}
	if !slices.Equal(keys[:len(otherKeys)], otherKeys) || !slices.Equal(orders[:len(otherOrders)], otherOrders) {
		return false
	}
	// What an index includes, it can answer without the table.
	all := append(slices.Clone(keys), index.list("included")...)
	return !slices.ContainsFunc(other.list("included"), func(c string) bool { return !slices.Contains(all, c) })
}

func (a *adviser) duplicate(index, other Row) Advice {
	bytes, _ := index.Number("bytes")
	how := "has the same keys"
	if len(other.list("keys")) > len(index.list("keys")) {
		how = "begins with the same keys (" + strings.Join(index.list("keys"), ", ") + ")"
	}
	advice := Advice{
		Kind: DuplicateIndex, Object: shortName(index, "indexrelname"), Bytes: bytes,
		Text:     fmt.Sprintf("drop the index %s of %s, whose work %s does as well", index.Text("indexrelname"), shortName(index, "relname"), other.Text("indexrelname")),
		SQL:      "DROP INDEX CONCURRENTLY " + index.Text("qualified"),
		Evidence: []string{fmt.Sprintf("%s %s: %s", other.Text("indexrelname"), how, other.Text("definition")), fmt.Sprintf("it takes %s: %s", unit.Format(bytes, unit.Bytes), index.Text("definition"))},
	}
	for _, s := range a.captures {
		for _, row := range s.Views["pg_stat_user_indexes"] {
			if scans, _ := row.Number("idx_scan"); scans > 0 && sameIndex(row, index) {
				advice.Doubts = append(advice.Doubts, fmt.Sprintf("%s has scanned it %s times: those would go to %s, which is %s", s.Node, unit.Format(scans, unit.Count), other.Text("indexrelname"), larger(index, other)))
			}
		}
	}
	return advice
}

func larger(index, other Row) string {
	a, _ := index.Number("bytes")
	b, _ := other.Number("bytes")
	if a > 0 && b > a {
		return short(b/a) + " times as large"
	}
	return "no larger"
}

// invalidIndexes finds what a CREATE INDEX CONCURRENTLY that failed has left: it is
// written and never read.
func (a *adviser) invalidIndexes() {
	for _, index := range a.captures[0].Views["indexes"] {
		if index["indisvalid"] == false {
			a.say(invalidIndex(index))
		}
	}
}

// rebuilt names an index that a REINDEX CONCURRENTLY has left beside another: the new
// one, where it failed, or the old one, which it could not drop.
var rebuilt = regexp.MustCompile(`_cc(?:new|old)\d*$`)

func invalidIndex(index Row) Advice {
	bytes, _ := index.Number("bytes")
	advice := Advice{
		Kind: InvalidIndex, Object: shortName(index, "indexrelname"), Bytes: bytes,
		Text:     fmt.Sprintf("build the index %s of %s again, or drop it", index.Text("indexrelname"), shortName(index, "relname")),
		SQL:      "REINDEX INDEX CONCURRENTLY " + index.Text("qualified"),
		Evidence: []string{"it is marked invalid, as after a CREATE INDEX CONCURRENTLY that failed: it is written with its table, and no query may use it"},
		Doubts:   []string{"it may be in the making right now: see pg_stat_progress_create_index"},
	}
	if rebuilt.MatchString(index.Text("indexrelname")) {
		advice.Text = fmt.Sprintf("drop the index %s of %s", index.Text("indexrelname"), shortName(index, "relname"))
		advice.SQL = "DROP INDEX CONCURRENTLY " + index.Text("qualified")
		advice.Evidence = []string{"it is marked invalid, and named as what a REINDEX CONCURRENTLY that failed leaves beside the index that it builds anew: it is written with its table, and no query may use it"}
	}
	return advice
}
