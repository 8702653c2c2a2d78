package reports

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

func written[T any](t *testing.T, write func(io.Writer, T) error, r T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func terminalOf(style TerminalStyle) func(io.Writer, *Report) error {
	return func(w io.Writer, r *Report) error { return WriteTerminal(w, r, style) }
}

func TestGoldens(t *testing.T) {
	r := fixture(t)
	for name, write := range map[string]func(io.Writer, *Report) error{
		"terminal.txt":       terminalOf(TerminalStyle{Width: 90}),
		"terminal-color.txt": terminalOf(TerminalStyle{Width: 120, Color: true}),
		"report.md":          WriteMarkdown,
		"junit.xml":          WriteJUnit,
		"report.openmetrics": WriteOpenMetrics,
	} {
		golden(t, name, written(t, write, r))
	}
}

// An empty report, and one of a run that did not get far, can be written too.
func TestEveryWriterTakesAPartialReport(t *testing.T) {
	whole := fixture(t)
	whole.After, whole.Comparison = nil, Comparison{}
	for _, r := range []*Report{{SchemaVersion: SchemaVersion}, whole} {
		for name, write := range writers() {
			if got := written(t, write, r); len(got) == 0 {
				t.Errorf("%s wrote nothing", name)
			}
		}
	}
}

func TestAFigureKeepsItsSign(t *testing.T) {
	if got := wrap("it is 10.3 %, or 5 % more", 13); !slices.Equal(got, []string{"it is 10.3 %,", "or 5 % more"}) {
		t.Errorf("%q", got)
	}
	if got := wrap("it is 10.3 %, or 5 % more", 12); !slices.Equal(got, []string{"it is", "10.3 %, or", "5 % more"}) {
		t.Errorf("%q", got)
	}
}

func writers() map[string]func(io.Writer, *Report) error {
	return map[string]func(io.Writer, *Report) error{
		"terminal": terminalOf(TerminalStyle{Color: true}), "markdown": WriteMarkdown, "json": WriteJSON,
		"junit": WriteJUnit, "openmetrics": WriteOpenMetrics, "html": WriteHTML,
	}
}

func TestHostileNamesStayText(t *testing.T) {
	r := fixture(t)
	for name, write := range writers() {
		got := string(written(t, write, r))
		if !utf8.ValidString(got) {
			t.Errorf("%s is not UTF-8", name)
		}
		broken := []string{"\x1b[31mevil", "\x00"}
		if name != "json" { // which keeps what it was given
			broken = append(broken, "\u202e")
		}
		switch name {
		case "html":
			broken = append(broken, "<img")
		case "markdown":
			got = regexp.MustCompile("(?s)\\\\.|`[^`]*`").ReplaceAllString(got, "") // escaped, or between backquotes, all is text
			broken = append(broken, "<img", "](http", "://evil")
		}
		for _, broken := range broken {
			if at := strings.Index(got, broken); at >= 0 {
				t.Errorf("%s holds %q: …%q", name, broken, got[max(0, at-80):at+40])
			}
		}
	}
	html := string(written(t, WriteHTML, r))
	if scripts := strings.Count(html, "<script"); scripts != 3 || strings.Count(html, "</script>") != 3 {
		t.Errorf("the page has %d scripts", scripts)
	}
}

func FuzzMarkdownAndTerminalText(f *testing.F) {
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range plain(text) {
			if r < ' ' || r == 0x7f {
				t.Errorf("%q keeps a control character", text)
			}
		}
		escaped := md(text)
		for i, r := range escaped {
			if strings.ContainsRune("<>\n", r) || (r == '@' || r == '#') && !strings.HasPrefix(escaped[i+1:], apart) || r == '|' && (i == 0 || escaped[i-1] != '\\') {
				t.Errorf("%q became %q", text, escaped)
			}
		}
		if strings.ContainsAny(code(text), "`\n") {
			t.Errorf("%q leaves its backquotes", text)
		}
	})
}

// What GitHub makes a mention or a link of stays text.
func TestMarkdownMentionsNobody(t *testing.T) {
	for text, want := range map[string]string{
		"@all":                 "@\u200ball",
		"fixes #12":            "fixes \\#\u200b12",
		"see www.example.com":  "see www\u200b.example.com",
		"see http://evil":      "see http:\u200b//evil",
		"# a title, <b> and &": "\\#\u200b a title, &lt;b&gt; and &amp;",
	} {
		if got := md(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	r := fixture(t)
	read, err := ReadJSON(bytes.NewReader(written(t, WriteJSON, r)))
	if err != nil {
		t.Fatal(err)
	}
	options := cmp.Options{
		cmpopts.EquateNaNs(), cmpopts.IgnoreFields(snapshot.Snapshot{}, "Sections"), cmpopts.IgnoreUnexported(Report{}),
		cmp.Comparer(func(a, b *stats.Histogram) bool { return a.Summary() == b.Summary() && a.Count() == b.Count() }),
	}
	// Control characters survive in JSON; what is not UTF-8 would not.
	if diff := cmp.Diff(r, read, options); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	for name, text := range map[string]string{"empty": "", "none": "{}", "newer": `{"schema_version": 99}`, "cut": `{"schema_version": 1, "tool"`} {
		if _, err := ReadJSON(strings.NewReader(text)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func TestJUnitIsWhatItSays(t *testing.T) {
	r := fixture(t)
	var suite junitSuite
	if err := xml.Unmarshal(written(t, WriteJUnit, r), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != len(suite.Cases) || suite.Failures == 0 || suite.Skipped == 0 {
		t.Errorf("%d tests, %d failures, %d skipped of %d cases", suite.Tests, suite.Failures, suite.Skipped, len(suite.Cases))
	}
	run := suite.Cases[len(suite.Cases)-1]
	if run.Name != "verdict" || run.Failure == nil {
		t.Errorf("the verdict is %+v", run)
	}
}

func TestOpenMetricsPassesPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	cmd := exec.Command(promtool, "check", "metrics")
	// promtool reads the older text format, which has no end mark.
	cmd.Stdin = strings.NewReader(strings.TrimSuffix(string(written(t, WriteOpenMetrics, fixture(t))), "# EOF\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMarkdownFitsIntoAComment(t *testing.T) {
	r := fixture(t)
	row := r.Comparison.Rows[0]
	for i := range 2000 {
		row.Metric = fmt.Sprintf("load.api.metric%d", i)
		r.Comparison.Rows = append(r.Comparison.Rows, row)
	}
	got := written(t, WriteMarkdown, r)
	if len(got) > 64<<10 || !bytes.Contains(got, []byte("(cut:")) || !bytes.Contains(got, []byte("load.api.throughput")) {
		t.Errorf("%d bytes", len(got))
	}
	if bytes.Count(got, []byte("<details>")) != bytes.Count(got, []byte("</details>")) {
		t.Error("a fold is left open")
	}
}

func TestWriteAll(t *testing.T) {
	r := fixture(t)
	dir := filepath.Join(t.TempDir(), "new", "report")
	if err := WriteAll(dir, r); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"after.json", "before.json", "junit.xml", "metrics.txt", "report.html", "report.json", "report.md"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestWhatCannotBeWrittenIsKeptElsewhere(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.Mkdir(filepath.Join(directory, "report.html"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a file in place of the folder": file, "a folder in place of a file": directory} {
		err := WriteAll(dir, fixture(t))
		if err == nil {
			t.Fatalf("%s: written", name)
		}
		match := regexp.MustCompile(`kept in (\S+)\)`).FindStringSubmatch(err.Error())
		if match == nil {
			t.Fatalf("%s: the error %v names no place", name, err)
		}
		if _, err := snapshot.ReadFile(filepath.Join(match[1], "before.json")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A state that was not read is not told as an empty one.
func TestStateChange(t *testing.T) {
	for want, s := range map[string]scaling.StepOutcome{
		"":             {Status: scaling.Applied},
		"1 -> 2":       {Status: scaling.Applied, Before: "1", After: "2"},
		"1 -> (empty)": {Status: scaling.Applied, Before: "1"},
		"was 1":        {Status: scaling.Failed, Before: "1"},
	} {
		if got := StateChange(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	r := fixture(t)
	r.Action.Steps = append(r.Action.Steps, scaling.StepOutcome{Name: "broken", Status: scaling.Failed, Before: "one"})
	if page := string(written(t, WriteHTML, r)); !strings.Contains(page, "was one") || strings.Contains(page, "one → ") {
		t.Error("the page tells of a failed step what it left, which is not known")
	}
}

// A failing writer's error is not lost.
func TestWritersReturnTheErrorOfTheirOutput(t *testing.T) {
	r := fixture(t)
	for name, write := range writers() {
		if err := write(fullDisk{}, r); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// Evidence and queries are shown to their end, line by line on the page, and without
// what would move a terminal's cursor.
func TestLongTextsAreShownToTheirEnd(t *testing.T) {
	r := fixture(t)
	r.Checklist = []ChecklistItem{{ID: "team", Text: "Team", State: ItemFailed, Evidence: strings.Repeat("long ", 200) + "\nthe\x1b[31m end"}}
	for name, write := range map[string]func(io.Writer, *Report) error{"page": WriteHTML, "terminal": terminalOf(TerminalStyle{Width: 90}), "markdown": WriteMarkdown} {
		text := string(written(t, write, r))
		if !strings.Contains(text, "the\uFFFD[31m end") && !strings.Contains(text, "the\uFFFD\\[31m end") || strings.Contains(text, "\x1b") {
			t.Errorf("%s: the end is missing, or not harmless", name)
		}
		if name == "page" && !strings.Contains(text, "long \nthe") {
			t.Error("the page joins the lines")
		}
	}
	if got := plainLines("a\n" + strings.Repeat("x", 1000)); len(got) != 1002 {
		t.Errorf("a line of a query was cut to %d", len(got))
	}
}

// What a chart marks is in its data: the steps of the action, and the knees.
func TestChartsAreMarked(t *testing.T) {
	r := fixture(t)
	drawn, err := charts(r)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range drawn {
		if c.Kind != "time" || !strings.HasPrefix(c.ID, "through-") {
			continue
		}
		found++
		if len(c.Markers) != len(r.Markers) || len(r.Markers) == 0 || c.Markers[0].Label != r.Markers[0].Label {
			t.Errorf("%s marks %+v, want %+v", c.ID, c.Markers, r.Markers)
		}
	}
	if found != 2 {
		t.Errorf("%d charts of the action", found)
	}
	short := *r.Through
	short.Seconds = append(slices.Clone(short.Seconds), loadgen.Second{Offset: 99, Length: .012, Requests: 1})
	if c := throughCharts(&short, nil)[0]; len(c.X) != len(r.Through.Seconds) {
		t.Errorf("a rest of a second is drawn as a rate: %v", c.Series[0].Values)
	}
	knee := func(rate float64) *loadgen.Result {
		return &loadgen.Result{Capacity: &loadgen.Capacity{Rate: rate, Curve: []loadgen.CurvePoint{{Offered: rate, P99: .01}}}}
	}
	c, ok := capacityChart("api", knee(100), knee(380))
	if !ok || len(c.Markers) != 2 || c.Markers[0].Label != "before: 100/s" || c.Markers[1].Label != "after: 380/s" {
		t.Errorf("%+v", c.Markers)
	}
}

// The page names the machine of each side where they differ, as with a gate, and no
// duration where nothing ran.
func TestThePageTellsBothSides(t *testing.T) {
	r := fixture(t)
	page := func() string { return string(written(t, WriteHTML, r)) }
	if text := page(); strings.Count(text, "<dt>Machine</dt>") != 1 || !strings.Contains(text, "trials a side") || !strings.Contains(text, "· took ") {
		t.Error("two sides that are alike are not told as one")
	}
	now := *r.After
	now.Environment.Host, now.Trials = "runner-2", r.Before.Trials+1
	r.After, r.FinishedAt = &now, r.StartedAt
	text := page()
	for _, want := range []string{"<dt>Machine before</dt>", "<dt>Machine after</dt><dd>runner-2", fmt.Sprintf("%d trials before, %d after", r.Before.Trials, now.Trials), `href="#main"`, `id="main"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(text, "· took ") || strings.Contains(string(written(t, terminalOf(TerminalStyle{}), r)), ", 0s") {
		t.Error("nothing took its time")
	}
}
