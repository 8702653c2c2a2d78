package expr

import (
	"errors"
	"math"
	"testing"

	"github.com/goccy/go-yaml"

	"scaleproof/internal/unit"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Condition
	}{
		{"load.api.response.p99 < 80ms", Condition{Metric: "load.api.response.p99", Op: Less, Value: 0.08, Base: unit.Seconds}},
		{"load.api.capacity>=1.8x", Condition{Metric: "load.api.capacity", Op: GreaterOrEqual, Value: 1.8, Base: unit.Count, Relative: true}},
		{" errors <= 0.1% ", Condition{Metric: "errors", Op: LessOrEqual, Value: 0.001, Base: unit.Ratio}},
		{"pg.replica-0.lag == 0", Condition{Metric: "pg.replica-0.lag", Op: Equal, Base: unit.Count}},
	} {
		got, err := Parse(c.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.text, err)
			continue
		}
		if again, err := Parse(got.Text); err != nil || again != got {
			t.Errorf("%q: its own text %q parses to %+v, %v", c.text, got.Text, again, err)
		}
		got.Text = ""
		if got != c.want {
			t.Errorf("Parse(%q) = %+v, want %+v", c.text, got, c.want)
		}
	}
}

func TestErrorsPointAtTheColumn(t *testing.T) {
	for _, c := range []struct {
		text   string
		column int
	}{
		{"", 1},
		{"  < 80ms", 3},
		{"p99 80ms", 5},
		{"p99 <", 6},
		{"p99 < fast", 7},
		{"p99 < 2msx", 7},
		{"p99 < -1x", 7},
	} {
		_, err := Parse(c.text)
		var fault *SyntaxError
		if !errors.As(err, &fault) || fault.Column != c.column {
			t.Errorf("Parse(%q): %v, want a fault at column %d", c.text, err, c.column)
		}
	}
	_, err := ParseList("p99<50ms,errors<")
	var fault *SyntaxError
	if !errors.As(err, &fault) || fault.Column != 17 {
		t.Errorf("ParseList: %v, want a fault at column 17", err)
	}
}

func TestInYAMLErrorsPointIntoTheLine(t *testing.T) {
	var plan struct {
		Objectives []Condition `yaml:"objectives"`
	}
	err := yaml.Unmarshal([]byte("objectives:\n  - p99 < 80ms\n  - p99 < fast\n"), &plan)
	var positioned yaml.Error
	if !errors.As(err, &positioned) {
		t.Fatalf("error %v has no position", err)
	}
	if p := positioned.GetToken().Position; p.Line != 3 || p.Column != 11 {
		t.Errorf("position %d:%d, want 3:11", p.Line, p.Column)
	}
}

func TestHolds(t *testing.T) {
	list, err := ParseList("a<1,a<=1,a>1,a>=1,a==1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[float64][5]bool{
		0:          {true, true, false, false, false},
		1:          {false, true, false, true, true},
		2:          {false, false, true, true, false},
		math.NaN(): {},
	}
	for value, holds := range want {
		for i, c := range list {
			if got := c.Holds(value); got != holds[i] {
				t.Errorf("%v %v: %v", value, c, got)
			}
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		text string
		base unit.Base
		fits bool
	}{
		{"m < 80ms", unit.Seconds, true},
		{"m < 80", unit.Seconds, false},
		{"m < 80", unit.Count, true},
		{"m < 0.5", unit.Ratio, true},
		{"m < 2x", unit.Seconds, true},
		{"m > 500/s", unit.RequestsPerSecond, true},
		{"m > 500/s", unit.Seconds, false},
		{"m < 1%", unit.Bytes, false},
	} {
		condition, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if err := condition.Fits(c.base); (err == nil) != c.fits {
			t.Errorf("%q on %s: %v", c.text, c.base, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("load.api.capacity >= 1.8x")
	f.Add("p99 < é")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(c.Text)
		if err != nil || again != c {
			t.Errorf("%q parses to %+v, whose text parses to %+v, %v", text, c, again, err)
		}
	})
}
