package snapshot

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"scaleproof/internal/unit"
)

func example(t *testing.T) *Snapshot {
	t.Helper()
	var b Builder
	trial := func(p99 float64, errors int64) []Sample {
		return []Sample{
			{Name: "load.health.response.p99", Unit: unit.Seconds, Better: Lower, Value: p99},
			{Name: "load.health.errors", Unit: unit.Ratio, Better: Lower, Value: float64(errors) / 100, Events: errors, Of: 100},
		}
	}
	for i, p99 := range []float64{0.010, 0.011, 0.012} {
		if err := b.AddTrial(trial(p99, int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	s := &Snapshot{SchemaVersion: SchemaVersion, ID: "a1", Plan: "replicas", Phase: "before", StartedAt: time.Unix(1e9, 0).UTC()}
	s.Trials, s.Metrics = b.Build()
	if err := s.PutSection("load.health", map[string]int{"requests": 300}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoundTripThroughAFile(t *testing.T) {
	s := example(t)
	s.Metrics[0].Values[1] = math.NaN()
	path := filepath.Join(t.TempDir(), "before.json")
	if err := WriteFile(path, s); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The file is indented, which the raw sections keep.
	if diff := cmp.Diff(s, got, cmpopts.EquateNaNs(), cmpopts.IgnoreFields(Snapshot{}, "Sections")); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
	var section struct{ Requests int }
	if ok, err := got.Section("load.health", &section); !ok || err != nil || section.Requests != 300 {
		t.Errorf("section: %v, %v, %+v", ok, err, section)
	}
	if ok, err := got.Section("db", &section); ok || err != nil {
		t.Errorf("a section that is not there: %v, %v", ok, err)
	}
}

func TestDamagedFilesAreRefusedByField(t *testing.T) {
	var data bytes.Buffer
	if err := Write(&data, example(t)); err != nil {
		t.Fatal(err)
	}
	good := data.String()
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the example holds no %q", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":           {"", "truncated"},
		"truncated":       {good[:strings.Index(good, "0.011")+3], "truncated in field metrics[0].values"},
		"another version": {replace(`"schema_version": 1`, `"schema_version": 99`), "schema_version is 99"},
		"no version":      {`{}`, "schema_version is missing"},
		"not a snapshot":  {`[1]`, "cannot unmarshal array"},
		"NaN":             {replace("0.011", "NaN"), "metrics[0].values[1] is NaN"},
		"-Infinity":       {replace("0.011", "-Infinity"), "metrics[0].values[1] is -Infinity"},
		"overflow":        {replace("0.011", "1e999"), "metrics[0].values[1] is 1e999"},
		"a text":          {replace("0.011", `"fast"`), "values"},
		"unknown unit":    {replace(`"seconds"`, `"parsecs"`), "metrics[0] (load.health.response.p99).unit"},
		"direction":       {replace(`"lower"`, `"sideways"`), ".better is \"sideways\""},
		"trials":          {replace(`"trials": 3`, `"trials": 4`), "3 values for 4 trials"},
		"more than all":   {replace("    2\n   ],", "    101\n   ],"), "(load.health.errors).events[2] is 101 of 100"},
		"less than none":  {replace("    2\n   ],", "    -1\n   ],"), "(load.health.errors).events[2] is -1 of 100"},
		"two files":       {good + good, "goes on after its end"},
	} {
		_, err := Read(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestInfinityIsNotWritten(t *testing.T) {
	s := example(t)
	s.Metrics[1].Values[2] = math.Inf(1)
	path := filepath.Join(t.TempDir(), "s.json")
	if err := WriteFile(path, s); err == nil || !strings.Contains(err.Error(), "load.health.errors).values[2] is infinite") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file was left behind: %v", err)
	}
}

func TestBuilderLinesUpTrials(t *testing.T) {
	var b Builder
	a := Sample{Name: "a", Unit: unit.Count, Better: Lower, Value: 1}
	c := Sample{Name: "c", Unit: unit.Ratio, Better: Lower, Value: .5, Events: 1, Of: 2}
	for _, trial := range [][]Sample{{a}, {a, c}, {c}} {
		if err := b.AddTrial(trial); err != nil {
			t.Fatal(err)
		}
	}
	trials, metrics := b.Build()
	nan := math.NaN()
	want := []Metric{
		{Name: "a", Unit: unit.Count, Better: Lower, Values: Values{1, 1, nan}},
		{Name: "c", Unit: unit.Ratio, Better: Lower, Values: Values{nan, .5, .5}, Events: []int64{0, 1, 1}, Of: []int64{0, 2, 2}},
	}
	if diff := cmp.Diff(want, metrics, cmpopts.EquateNaNs()); diff != "" || trials != 3 {
		t.Errorf("%d trials, (-want +got):\n%s", trials, diff)
	}
}

func TestBuilderRefusesWhatCannotBeLinedUp(t *testing.T) {
	var b Builder
	a := Sample{Name: "a", Unit: unit.Count, Better: Lower}
	if err := b.AddTrial([]Sample{a, a}); err == nil {
		t.Error("the same metric twice was taken")
	}
	if err := b.AddTrial([]Sample{a}); err != nil {
		t.Fatal(err)
	}
	if err := b.AddTrial([]Sample{{Name: "a", Unit: unit.Bytes, Better: Lower}}); err == nil {
		t.Error("a change of unit was taken")
	}
	if trials, _ := b.Build(); trials != 1 {
		t.Errorf("%d trials after refusals, want 1", trials)
	}
}

func TestReadCSV(t *testing.T) {
	s, err := ReadCSV(strings.NewReader("metric,value,unit,better\nlatency,80,ms,lower\nlatency,90,ms,\nrps,500,requests/second,higher\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Metric{
		{Name: "latency", Unit: unit.Seconds, Better: Lower, Values: Values{.08, .09}},
		{Name: "rps", Unit: unit.RequestsPerSecond, Better: Higher, Values: Values{500, math.NaN()}},
	}
	if diff := cmp.Diff(want, s.Metrics, cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, text := range map[string]string{
		"no header": "", "no rows": "metric,value\n", "no value": "metric\na\n", "unknown column": "metric,value,color\na,1,red\n",
		"NaN": "metric,value\na,NaN\n", "word": "metric,value\na,fast\n", "unit": "metric,value,unit\na,1,parsec\n",
		"ragged": "metric,value\na\n", "nameless": "metric,value\n,1\n", "two units": "metric,value,unit\na,1,s\na,1,B\n",
		"unit with a number": "metric,value,unit\na,1,10ms\n", "factor": "metric,value,unit\na,1,00\n", "overflow": "metric,value,unit\na,1e308,TB\n",
	} {
		if _, err := ReadCSV(strings.NewReader(text)); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema_version":1,"trials":1,"metrics":[{"name":"a","unit":"count","better":"lower","values":[null]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, s); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if _, err := Read(&out); err != nil {
			t.Fatalf("what was written can't be read: %v", err)
		}
	})
}
