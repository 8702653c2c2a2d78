package unit

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text  string
		value float64
		base  Base
	}{
		{"80ms", 0.080, Seconds},
		{"1.5 s", 1.5, Seconds},
		{"100us", 1e-4, Seconds},
		{"30d", 30 * 86400, Seconds},
		{"500/s", 500, PerSecond},
		{"30/m", 0.5, PerSecond},
		{"4GiB", 4 << 30, Bytes},
		{"100MB", 1e8, Bytes},
		{"0.1%", 0.001, Ratio},
		{"-3", -3, Count},
		{"1e3", 1000, Count},
	} {
		value, base, err := Parse(c.text)
		if err != nil || math.Abs(value-c.value) > 1e-12*math.Abs(c.value) || base != c.base {
			t.Errorf("Parse(%q) = %v, %q, %v; want %v, %q", c.text, value, base, err, c.value, c.base)
		}
	}
	for _, text := range []string{"", "ms", "80 bananas", "NaN", "Inf", "0x10", "1_000", "1e999", "%"} {
		if _, _, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) succeeded", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("80ms")
	f.Add("1e308w")
	f.Add("-0.5%")
	f.Fuzz(func(t *testing.T, text string) {
		value, base, err := Parse(text)
		if err == nil && (math.IsNaN(value) || math.IsInf(value, 0) || !base.Known()) {
			t.Errorf("Parse(%q) = %v, %q without an error", text, value, base)
		}
	})
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		value float64
		base  Base
		want  string
	}{
		{0.0312, Seconds, "31.2 ms"},
		{0.9999, Seconds, "1 s"},
		{42e-6, Seconds, "42 µs"},
		{7200, Seconds, "2 h"},
		{30 * 86400, Seconds, "30 d"},
		{0, Seconds, "0 s"},
		{1536, Bytes, "1.50 KiB"},
		{0.001, Ratio, "0.100 %"},
		{12345.4, Count, "12,345"},
		{-1234567, Count, "-1,234,567"},
		{7, Count, "7"},
		{512.3, RequestsPerSecond, "512/s"},
		{math.NaN(), Seconds, "unknown"},
		{math.Inf(1), Count, "Inf"},
	} {
		if got := Format(c.value, c.base); got != c.want {
			t.Errorf("Format(%v, %q) = %q, want %q", c.value, c.base, got, c.want)
		}
	}
}

func TestTypesDecodeTheirOwnText(t *testing.T) {
	type all struct {
		D Duration `yaml:"d"`
		R Rate     `yaml:"r"`
		F Fraction `yaml:"f"`
		S Size     `yaml:"s"`
	}
	var got all
	text := "d: 1m30s\nr: 500/s\nf: 0.1%\ns: 4GiB\n"
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := all{Duration(90 * time.Second), 500, 0.001, 4 << 30}
	if got != want {
		t.Fatalf("decoded %+v, want %+v", got, want)
	}
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var again all
	if err := json.Unmarshal(encoded, &again); err != nil || again != want {
		t.Fatalf("JSON %s decodes to %+v, %v", encoded, again, err)
	}
}

func TestABareFractionBeyondTheWholeIsRefused(t *testing.T) {
	for text, want := range map[string]Fraction{"0.1": 0.1, "1": 1, "10%": 0.1, "250%": 2.5} {
		var f Fraction
		if err := f.Set(text); err != nil || f != want {
			t.Errorf("%s: %v, %v", text, f, err)
		}
	}
	var f Fraction
	if err := f.Set("10"); err == nil || !strings.Contains(err.Error(), "write it as 10%, or as 0.1") {
		t.Errorf("10: %v, %v", f, err)
	}
}

func TestAWrongUnitNamesItsPlace(t *testing.T) {
	var got struct {
		Load []struct {
			Rate     Rate     `yaml:"rate"`
			Duration Duration `yaml:"duration"`
		} `yaml:"load"`
	}
	err := yaml.Unmarshal([]byte("load:\n  - rate: 500/s\n    duration: 60 parsecs\n"), &got)
	var positioned yaml.Error
	if !errors.As(err, &positioned) {
		t.Fatalf("error %v carries no position", err)
	}
	if p := positioned.GetToken().Position; p.Line != 3 || p.Column != 15 {
		t.Errorf("position %d:%d, want 3:15", p.Line, p.Column)
	}
	if !strings.Contains(positioned.GetMessage(), `"60 parsecs"`) {
		t.Errorf("message %q does not quote the text", positioned.GetMessage())
	}
}
