package capacity

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestReadSeriesCSV(t *testing.T) {
	s, err := ReadSeriesCSV(strings.NewReader("\ufeffTime, Value\n2024-05-01T02:00:00+02:00,1.5\n2024-05-02,2e3\n1714608000,NaN\n1714694400500,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"2024-05-01T00:00:00Z", "2024-05-02T00:00:00Z", "2024-05-02T00:00:00Z", "2024-05-03T00:00:00.5Z"}
	for i, text := range want {
		if got := s.Times[i].Format(time.RFC3339Nano); got != text {
			t.Errorf("time %d is %s, want %s", i, got, text)
		}
	}
	if s.Values[0] != 1.5 || s.Values[1] != 2000 || !math.IsNaN(s.Values[2]) || !math.IsNaN(s.Values[3]) {
		t.Errorf("values %v", s.Values)
	}
}

func TestReadSeriesCSVRefuses(t *testing.T) {
	for input, want := range map[string]string{
		"":                           "empty",
		"time,value\n":               "no rows",
		"time\n2024-01-01\n":         `no column "value"`,
		"time,value,more\n1,2,3\n":   `"more"`,
		"time,time\n1,2\n":           "twice",
		"time,value\nyesterday,2\n":  "line 2",
		"time,value\n1,2\n1,many\n":  "line 3",
		"time,value\n1,Inf\n":        "finite",
		"time,value\n1\n":            "wrong number of fields",
		"time,value\n1e300,1\n":      "no time",
		"time,value\n\"2024-01-01,1": "quote",
	} {
		if _, err := ReadSeriesCSV(strings.NewReader(input)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", input, err, want)
		}
	}
}

// Whatever is read can be projected, and a projection holds together.
func FuzzReadSeriesCSV(f *testing.F) {
	f.Add("time,value\n2024-01-01,1\n2024-01-02,2\n2024-01-03,2\n2024-01-04,NaN\n2024-01-05,9\n2024-01-06,9\n")
	f.Add("value,time\n1,0\n2,1e14\n3,-5\n4,86400\n5,172800\n6,259200\n")
	f.Add("time,value\n1,1e300\n2,-1e300\n86400,1e-300\n100000,0\n200000,5\n300000,6\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSeriesCSV(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(s.Times) != len(s.Values) || len(s.Times) == 0 {
			t.Fatalf("%d times, %d values", len(s.Times), len(s.Values))
		}
		limit := 10.0
		for _, kind := range []Kind{Gauge, Size, Counter} {
			s.Kind = kind
			p, err := Project(s, ProjectOptions{Limit: &limit, Paths: 20})
			if err != nil {
				t.Fatal(err)
			}
			sound(t, p)
		}
	})
}
