package reports

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"scaleproof/dbbench"
	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

// queried is a report of one query and of what the database's views say.
func queried(t *testing.T, kind string, change func(before, after *dbbench.CaseResult), views func(after *dbbench.Statistics), blocks float64) *Report {
	t.Helper()
	side := func(after bool) *snapshot.Snapshot {
		c := dbbench.CaseResult{Name: "q", Rows: 20, ResultHash: "a-20", PlanResult: dbbench.PlanResult{Plan: planOf(false), Fingerprint: planOf(false).Fingerprint()}}
		other := c
		change(&c, &other)
		s := &dbbench.Statistics{Node: "primary", Views: map[string][]dbbench.Row{
			"settings": {{"name": "work_mem", "setting": "4096", "unit": "kB"}},
			"indexes":  {{"schemaname": "public", "indexrelname": "ix", "definition": "CREATE INDEX ix ON t (n)"}},
		}}
		value := 100.0
		if after {
			c, value = other, blocks
			views(s)
		}
		var b snapshot.Builder
		for range 5 {
			if err := b.AddTrial([]snapshot.Sample{
				{Name: "db.q.blocks", Unit: unit.Count, Better: snapshot.Lower, Value: value},
				{Name: "db.q.rows_read", Unit: unit.Count, Better: snapshot.Lower, Value: 5},
				{Name: "db.q.rows_removed", Unit: unit.Count, Better: snapshot.Lower, Value: 5},
				{Name: "db.q.temp_blocks", Unit: unit.Count, Better: snapshot.Lower, Value: 0},
				{Name: "db.q.q_error", Unit: unit.Count, Better: snapshot.Lower, Value: 1},
				{Name: "db.q.time.p50", Unit: unit.Seconds, Better: snapshot.Lower, Value: .1},
			}); err != nil {
				t.Fatal(err)
			}
		}
		snap := &snapshot.Snapshot{SchemaVersion: snapshot.SchemaVersion}
		snap.Trials, snap.Metrics = b.Build()
		for name, section := range map[string]any{"db": &dbbench.Result{Cases: []dbbench.CaseResult{c}}, "pg": map[string]*dbbench.Statistics{"primary": s}} {
			if err := snap.PutSection(name, section); err != nil {
				t.Fatal(err)
			}
		}
		return snap
	}
	r := &Report{Before: side(false), After: side(true), Action: &scaling.Outcome{Steps: []scaling.StepOutcome{{Name: "step", Kind: kind}}}}
	r.Comparison = Compare(r.Before, r.After, Criteria{})
	return r
}

func kept(_, _ *dbbench.CaseResult)   {}
func keptViews(_ *dbbench.Statistics) {}

func otherRows(_, after *dbbench.CaseResult) { after.ResultHash, after.Rows = "b-7", 7 }

func otherPlan(_, after *dbbench.CaseResult) {
	after.Plan, after.Fingerprint = planOf(true), planOf(true).Fingerprint()
}

func TestGatesOnAQueryGoFromTheSurestToTheLeastSure(t *testing.T) {
	for name, c := range map[string]struct {
		report *Report
		want   map[string]Word
		reason string // of db.q
	}{
		"nothing changed":      {queried(t, "scale", kept, keptViews, 100), map[string]Word{"db.q": Pass, "db.q.result": Pass, "db.q.plan": Pass, "db.q.blocks": Pass}, "no worse than before"},
		"other rows":           {queried(t, "scale", otherRows, keptViews, 10), map[string]Word{"db.q": Fail, "db.q.result": Fail, "db.q.plan": Pass, "db.q.blocks": Unsure}, "the rows differ: 20 before, 7 after"},
		"another plan":         {queried(t, "sql", otherPlan, keptViews, 10), map[string]Word{"db.q": Pass, "db.q.plan": Fail, "db.q.blocks": Pass}, "no worse than before"},
		"another, worse":       {queried(t, "sql", otherPlan, keptViews, 200), map[string]Word{"db.q": Fail, "db.q.blocks": Fail}, "blocks touched: "},
		"it failed afterwards": {queried(t, "sql", func(_, a *dbbench.CaseResult) { *a = dbbench.CaseResult{Name: "q", Error: "timeout"} }, keptViews, 100), map[string]Word{"db.q": Unsure, "db.q.result": Unsure, "db.q.plan": Unsure}, "timeout"},
		"it failed in a trial": {queried(t, "sql", func(_, a *dbbench.CaseResult) { a.Error = "in 1 of 5 trials: timeout" }, keptViews, 100), map[string]Word{"db.q": Unsure, "db.q.result": Unsure, "db.q.plan": Unsure}, "in 1 of 5 trials"},
		"rows of a trial":      {queried(t, "sql", func(_, a *dbbench.CaseResult) { a.ResultHashes = []string{"a-20", "b-7"} }, keptViews, 100), map[string]Word{"db.q": Fail, "db.q.result": Fail}, "from trial to trial: 2 results"},
		"a plan that flips":    {queried(t, "sql", func(_, a *dbbench.CaseResult) { a.Fingerprints = []string{a.Fingerprint, "x"} }, keptViews, 100), map[string]Word{"db.q": Pass, "db.q.plan": Fail}, ""},
		"both flip": {queried(t, "sql", func(b, a *dbbench.CaseResult) {
			b.Fingerprints = []string{b.Fingerprint, "x"}
			a.Fingerprints = b.Fingerprints
		}, keptViews, 100), map[string]Word{"db.q": Pass, "db.q.plan": Unsure}, ""},
		"data that change":  {queried(t, "sql", func(b, _ *dbbench.CaseResult) { b.ResultHashes = []string{"a-20", "b-7"} }, keptViews, 100), map[string]Word{"db.q": Unsure, "db.q.result": Unsure}, "before already"},
		"other arguments":   {queried(t, "sql", func(b, a *dbbench.CaseResult) { b.Args, a.Args = []string{"1"}, []string{"2"}; a.ResultHash = "c" }, keptViews, 200), map[string]Word{"db.q": Unsure, "db.q.result": Unsure, "db.q.plan": Unsure, "db.q.blocks": Unsure, "db.q.time.p50": Unsure}, "ran with the arguments (2), and before with (1)"},
		"NULL and a text":   {queried(t, "sql", func(b, a *dbbench.CaseResult) { b.Args, a.Args, a.Nulls = []string{"NULL"}, []string{"NULL"}, []int{0} }, keptViews, 100), map[string]Word{"db.q": Unsure, "db.q.blocks": Unsure}, "arguments"},
		"another statement": {queried(t, "sql", func(_, a *dbbench.CaseResult) { a.SQL = "SELECT 2" }, keptViews, 100), map[string]Word{"db.q": Unsure, "db.q.blocks": Unsure}, "another one than before"},
		"not measured":      {queried(t, "sql", kept, keptViews, 100), map[string]Word{"db.other": Unsure, "db.other.plan": Unsure}, ""},
	} {
		for metric, want := range c.want {
			results, _ := Judge(c.report, Criteria{Gates: []GateSpec{{Metric: metric}}}, Facts{})
			if len(results) != 1 || results[0].Outcome != want || results[0].Kind != Gate || metric == "db.q" && !strings.Contains(results[0].Reason, c.reason) {
				t.Errorf("%s: %s: %+v, want %s", name, metric, results, want)
			}
		}
	}
	whole := GateSpec{Metric: "db.q", MinChange: .5}
	r := Compare(queried(t, "sql", kept, keptViews, 140).Before, queried(t, "sql", kept, keptViews, 140).After, Criteria{Gates: []GateSpec{whole}})
	if blocks, time := r.row("db.q.blocks"), r.row("db.q.time.p50"); blocks.Gate || !time.Gate || blocks.Change != Equivalent || time.MinChange != .5 {
		t.Errorf("a gate's bound is that of all figures, and only time is left to chance: %+v, %+v", blocks, time)
	}
	objective, err := expr.Parse("db.q.blocks <= 0.5x")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(before, after *dbbench.CaseResult)
		want   Word
	}{
		"the same rows":   {kept, Pass},
		"other rows":      {otherRows, Unsure},
		"other arguments": {func(_, a *dbbench.CaseResult) { a.Args = []string{"2"} }, Unsure},
	} {
		results, _ := Judge(queried(t, "sql", c.change, keptViews, 10), Criteria{Objectives: []expr.Condition{objective}}, Facts{})
		if results[0].Outcome != c.want {
			t.Errorf("an objective on %s: %+v", name, results[0])
		}
	}
}

func TestWhatAnActionShouldNotChangeIsSaid(t *testing.T) {
	changed := func(s *dbbench.Statistics) {
		s.Views["settings"][0]["setting"] = "8192"
		s.Views["indexes"] = append(s.Views["indexes"], dbbench.Row{"schemaname": "public", "indexrelname": "new", "definition": "CREATE INDEX new"})
	}
	for name, c := range map[string]struct {
		report     *Report
		unexpected bool
		want       []string
	}{
		"replicas, and nothing":  {queried(t, "scale", kept, keptViews, 100), false, []string{"No step of the action changes the database: the only query kept its plan and result, and nothing else"}},
		"replicas, and plans":    {queried(t, "scale", otherPlan, keptViews, 10), true, []string{"and yet it changed: 0 of 1 queries", "q: plan: Seq Scan on incidents became Index Scan using incidents_organization"}},
		"replicas, and settings": {queried(t, "scale", kept, changed, 100), true, []string{"and yet it changed", "primary: the setting work_mem was 4096 kB, and is 8192 kB", "primary: the index new is new"}},
		"a request, and plans":   {queried(t, "http", otherPlan, keptViews, 10), false, []string{"The database changed, and whether the action did it (step) is unknown: 0 of 1 queries", "q: plan: "}},
		"a request, and nothing": {queried(t, "http", kept, keptViews, 100), false, []string{"No step of the action changes the database: the only query"}},
		"plans that flipped":     {queried(t, "scale", func(b, a *dbbench.CaseResult) { b.Fingerprints = []string{b.Fingerprint, "x"}; a.Fingerprint = "x" }, keptViews, 100), false, []string{"no query could be compared"}},
		"a statement, and plans": {queried(t, "sql", otherPlan, changed, 10), false, []string{"The action changes the database (step): 0 of 1 queries", "q: plan: "}},
	} {
		d := databaseChanges(c.report)
		if d == nil || d.Unexpected != c.unexpected {
			t.Errorf("%s: %+v", name, d)
			continue
		}
		var terminal, markdown, html bytes.Buffer
		for _, err := range []error{WriteTerminal(&terminal, c.report, TerminalStyle{Width: 500}), WriteMarkdown(&markdown, c.report), WriteHTML(&html, c.report)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range c.want {
			if text := d.Sentence + strings.Join(d.Details, "\n"); !strings.Contains(text, want) || !strings.Contains(terminal.String(), want) || !strings.Contains(strings.ReplaceAll(markdown.String(), `\`, ""), want) {
				t.Errorf("%s: %q is missing in %q or what is printed", name, want, text)
			}
		}
		if !strings.Contains(html.String(), d.Sentence) {
			t.Errorf("%s: the page does not say %q", name, d.Sentence)
		}
	}
	if d := databaseChanges(&Report{}); d != nil {
		t.Errorf("without an action: %+v", d)
	}
}

// deep is a chain of many nodes of which one alone takes time.
func deep(n int) *dbbench.Plan {
	root := &dbbench.PlanNode{Type: "Seq Scan", Relation: "t", Alias: "t", Analyzed: true, PlanRows: 1, ActualRows: 5000, Loops: 1, TotalTime: 90}
	for range n {
		root = &dbbench.PlanNode{Type: "Result", Analyzed: true, PlanRows: 5000, ActualRows: 5000, Loops: 1, TotalTime: 90, Children: []*dbbench.PlanNode{root, {Type: "Result", Analyzed: true, PlanRows: 1, ActualRows: 1, Loops: 1}}}
	}
	return &dbbench.Plan{Root: root, ExecutionTime: 90}
}

func TestThePlanTreeOpensWhereItIsWorthALook(t *testing.T) {
	v := viewPlan("", 5000, &dbbench.PlanResult{Plan: deep(20)}, nil)
	n, depth := v.Root, 0
	for ; len(n.Children) > 0; n = n.Children[0] {
		if !n.Open || n.Children[1].Open {
			t.Errorf("at depth %d: the way to the scan is open: %v, what costs nothing is open: %v", depth, n.Open, n.Children[1].Open)
		}
		depth++
	}
	if depth != 20 || n.Share < 99 || len(n.Warnings) == 0 || !strings.Contains(n.Warnings[0], "5000 times too low") || n.Rows != "5,000 rows, 1 planned" {
		t.Errorf("the scan at depth %d: %+v", depth, n)
	}
	if small := viewPlan("", 1, &dbbench.PlanResult{Plan: planOf(false)}, planOf(true)); !small.Root.Open || small.Root.Changed || !small.Root.Children[0].Changed {
		t.Errorf("%+v", small.Root)
	}
}

// A change has one place on the page: a setting in the list of what should not have
// changed or in the table of settings, a query's figures in its row.
func TestThePageTellsAChangeOnce(t *testing.T) {
	changed := func(s *dbbench.Statistics) { s.Views["settings"][0]["setting"] = "8192" }
	for name, r := range map[string]*Report{"unexpected": queried(t, "scale", kept, changed, 10), "expected": queried(t, "sql", kept, changed, 10)} {
		text := string(written(t, WriteHTML, r))
		if n := strings.Count(text, "work_mem"); n != 1 {
			t.Errorf("%s: the setting stands %d times on the page", name, n)
		}
		reason := r.Comparison.row("db.q.blocks").Reason
		if n := strings.Count(text, reason); n != 1 {
			t.Errorf("%s: %q stands %d times on the page", name, reason, n)
		}
		if !strings.Contains(text, "blocks touched improved") {
			t.Errorf("%s: the query does not point to its figures", name)
		}
	}
	// What the database's views say of the trials stands beside what else they say.
	r := queried(t, "sql", kept, changed, 10)
	r.Comparison.Rows = append(r.Comparison.Rows, Row{Metric: "pg.primary.database.cache_hit", Unit: unit.Ratio})
	text := string(written(t, WriteHTML, r))
	if at := strings.Index(text, "pg.primary.database.cache_hit"); at < strings.Index(text, `id="h-statistics"`) || strings.Count(text, "pg.primary.database.cache_hit") != 1 {
		t.Error("a figure of the database stands elsewhere than the database")
	}
}

func TestBenchOnATerminal(t *testing.T) {
	shape := dbbench.PlanResult{Fingerprint: "a", Plan: planOf(false), ClientTime: []float64{.1}}
	slow, quick := shape, shape
	slow.TimingOverhead, quick.TimingOverhead = 1.5, 1.1
	var b, load bytes.Buffer
	if err := WriteBench(&b, &dbbench.Result{Warnings: []string{"doubtful"}, Cases: []dbbench.CaseResult{{Name: "q", PlanResult: slow}, {Name: "r", PlanResult: quick}, {Name: "s", Error: "timeout"}}}, TerminalStyle{}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "times as long with the clock") != 1 || !strings.Contains(got, "1.50 times as long") || !strings.Contains(got, "timeout") || !strings.Contains(got, "! doubtful") {
		t.Errorf("%s", got)
	}
	if err := WriteDatabaseLoad(&load, &dbbench.LoadResult{Cases: []dbbench.LoadCase{{Name: "q", Share: .25, Fault: "no such table"}}}, TerminalStyle{}); err != nil {
		t.Fatal(err)
	}
	name := "incidents_of_a_large_organisation"
	var wide bytes.Buffer
	if err := WriteDatabaseLoad(&wide, &dbbench.LoadResult{Transactions: 1, Cases: []dbbench.LoadCase{{Name: name}}}, TerminalStyle{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(wide.String()), "\n")
	if head, last := lines[2], lines[len(lines)-1]; !strings.Contains(last, name) || len(head) != len(last) {
		t.Errorf("not in its columns:\n%s", wide.String())
	}
	if got := load.String(); !strings.Contains(got, "q, 25 % of the mix, can't run: no such table") {
		t.Errorf("%s", got)
	}
}

// Queries that went to another node are shown with both, and why one could not be
// measured before stands with its figures.
func TestQueriesOfSeveralNodes(t *testing.T) {
	r := queried(t, "shard", func(before, after *dbbench.CaseResult) { before.Node, after.Node = "primary", "shard-2" }, keptViews, 50)
	var terminal, markdown, page bytes.Buffer
	if err := errors.Join(WriteTerminal(&terminal, r, TerminalStyle{}), WriteMarkdown(&markdown, r), WriteHTML(&page, r)); err != nil {
		t.Fatal(err)
	}
	const warning = "q ran on primary before and on shard-2 after: the servers' machines"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"terminal": {terminal.String(), []string{"Queries by node", "q      primary → shard-2       100 ms  100 ms            100     50  20, the same", warning}},
		"Markdown": {markdown.String(), []string{"### Queries by node\n\n| query | on | time before |", "| q | primary → shard-2 | 100 ms | 100 ms | 100 | 50 | 20, the same |"}},
		"page":     {page.String(), []string{`<h2 id="h-nodes">Node by node</h2>`, `<td>primary → shard-2</td>`, `<span class="kind">primary → shard-2</span>`, "What each node holds"}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, c.text)
			}
		}
	}
	// On one node there is nothing to tell.
	terminal.Reset()
	if err := WriteTerminal(&terminal, queried(t, "shard", kept, keptViews, 50), TerminalStyle{}); err != nil || strings.Contains(terminal.String(), "Queries by node") {
		t.Errorf("%v:\n%s", err, &terminal)
	}
	missing := queried(t, "shard", func(before, _ *dbbench.CaseResult) { before.Error = "no such table" }, keptViews, 50)
	for i := range missing.Before.Metrics {
		missing.Before.Metrics[i].Values = snapshot.Values{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	}
	bound, err := expr.Parse("db.q.blocks < 60")
	if err != nil {
		t.Fatal(err)
	}
	criteria := Criteria{Gates: []GateSpec{{Metric: "db.q.blocks"}}, Objectives: []expr.Condition{bound}}
	missing.Comparison = Compare(missing.Before, missing.After, criteria)
	results, _ := Judge(missing, criteria, Facts{})
	if results[0].Outcome != Pass || results[1].Outcome != Unsure || results[1].Reason != "it could not be measured before: no such table" {
		t.Errorf("%+v", results)
	}
}
