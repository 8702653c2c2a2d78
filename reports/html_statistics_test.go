package reports

import (
	"slices"
	"strings"
	"testing"

	"scaleproof/dbbench"
)

func TestStatisticsTables(t *testing.T) {
	tables, err := statisticsTables(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, table := range tables {
		for _, row := range table.Rows {
			if name := table.Title + "/" + row[0]; rows[name] == nil {
				rows[name] = row[1:]
			}
			if len(row) != len(table.Head) {
				t.Errorf("%s: a row of %d cells under %d heads", table.Title, len(row), len(table.Head))
			}
		}
	}
	for name, want := range map[string][]string{
		"Top statements/SELECT * FROM incidents WHERE organization_id = $1": {"40", "40", "106 ms", "14.5 ms", "4.23 s", "582 ms"},
		"Index usage/incidents_organization":                                {"incidents", "–", "0", "386", "15.3 MiB", "new"},
		"Index usage/incidents_pkey":                                        {"incidents", "0", "0", "0", "10.5 MiB", "never used"},
		"Table growth/incidents":                                            {"89.6 MiB", "105 MiB", "15.3 MiB", "500,000", "500,000", "12", "1,110", "1,110"},
		"Replication lag/replica-0":                                         {"streaming", "4 KiB, 64 KiB at most", "4 KiB, 64 KiB at most", "1 ms, 20 ms at most", "1 ms, 20 ms at most"},
		"What sessions waited for/Lock: relation":                           {"0.100, 1 at most", "0.100, 1 at most"},
		"Blocked sessions/" + hostile:                                       {"before", "ShareLock", "incidents", "ALTER TABLE incidents", "2 s"},
		"Settings that changed/shared_buffers":                              {"16384 × 8kB", "65536 × 8kB"},
	} {
		if !slices.Equal(rows[name], want) {
			t.Errorf("%s: %q, want %q", name, rows[name], want)
		}
	}
	for name := range rows {
		if strings.Contains(name, "EXPLAIN") {
			t.Errorf("the tool's own statement is shown: %s", name)
		}
	}
}

// What is unknown is never a zero, and roles that run the same statement are
// summed.
func TestStatisticsThatAreUnknown(t *testing.T) {
	statement := func(role string, calls float64, unknown string) dbbench.DeltaRow {
		row := dbbench.DeltaRow{Row: dbbench.Row{"userid": role, "queryid": "7"}, Unknown: unknown}
		if role == "a" {
			row.Row["query"] = "SELECT 1" // only the busiest have their text
		}
		if unknown == "" {
			row.Counters = map[string]float64{"calls": calls, "total_exec_time": 1e3 * calls}
		}
		return row
	}
	n := nodeStatistics{
		before: statistics(false), after: statistics(false),
		counted: &dbbench.StatisticsDelta{Views: map[string][]dbbench.DeltaRow{
			"pg_stat_statements":   {statement("a", 30, ""), statement("b", 10, "")},
			"pg_stat_user_indexes": {{Row: dbbench.Row{"indexrelid": "2"}, Unknown: "its statistics were reset in between"}},
		}},
		later: &dbbench.StatisticsDelta{Views: map[string][]dbbench.DeltaRow{"pg_stat_statements": {statement("a", 30, ""), statement("b", 0, "reset")}}},
	}
	for name, c := range map[string]struct {
		table table
		want  []string
	}{
		"two roles":                        {n.statements(), []string{"SELECT 1", "40", "known: 30", "1 s", "known: 1 s", "40 s", "known: 30 s"}},
		"a row that was reset, and a view": {n.indexes(), []string{"incidents_pkey", "incidents", "unknown", "unknown", "0", "10.5 MiB", "never used"}},
		"a view that is lacking":           {n.tables(), []string{"incidents", "89.6 MiB", "89.6 MiB", "0 B", "500,000", "500,000", "12", "unknown", "unknown"}},
	} {
		if len(c.table.Rows) != 1 || !slices.Equal(c.table.Rows[0], c.want) {
			t.Errorf("%s: %q, want %q", name, c.table.Rows, c.want)
		}
	}
	n.counted.Unknown, n.counted.Views, n.later = "the server was restarted in between", nil, nil
	if row := n.indexes().Rows[0]; row[2] != "unknown" || row[3] != "unknown" {
		t.Errorf("a node that was restarted, and one that was not captured: %q", row)
	}
}

func TestResourceTable(t *testing.T) {
	got, err := resourceTable(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"host.memory.used", "95 %", "95 %", "90 %", "beyond"}
	if len(got.Rows) != 2 || !slices.Equal(got.Rows[1], want) {
		t.Errorf("%q, want %q", got.Rows, want)
	}
}

func TestWithinTrial(t *testing.T) {
	steady := busyLoad("api", .02, 60)
	if got := withinTrial(steady); !strings.HasPrefix(got, "1,26") || !strings.Contains(got, " to ") {
		t.Errorf("%q", got)
	}
	steady.Seconds = steady.Seconds[:5]
	if got := withinTrial(steady); got != "–" {
		t.Errorf("five seconds say %q", got)
	}
}
