package unit

import (
	"testing"

	"github.com/goccy/go-yaml"
)

func TestQuantities(t *testing.T) {
	for text, want := range map[string]Quantity{
		"1200/s": {1200, PerSecond}, "20GiB": {20 << 30, Bytes}, "80%": {0.8, Ratio}, "7": {7, Count}, "1.5s": {1.5, Seconds},
	} {
		var got Quantity
		if err := yaml.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
		var again Quantity
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again.Value != want.Value {
			t.Errorf("%s prints as %s, which is %+v, %v", text, got, again, err)
		}
	}
	if (Quantity{3, Seconds}).Fits(Bytes) || !(Quantity{3, PerSecond}).Fits(RequestsPerSecond) || !(Quantity{3, Count}).Fits(Bytes) || (Quantity{3, PerSecond}).Fits(Bytes) {
		t.Error("a quantity fits what it can't stand for")
	}
	var q Quantity
	if err := yaml.Unmarshal([]byte("7 parsecs"), &q); err == nil {
		t.Error("an unknown unit was read")
	}
}
