package snapshot

import (
	"encoding/json"
	"fmt"
	"math"
)

// Values are the values of a metric, one per trial. NaN marks a trial that gave
// none; it is null in JSON.
type Values []float64

// Observed returns the values of the trials that gave one.
func (v Values) Observed() []float64 {
	var observed []float64
	for _, x := range v {
		if !math.IsNaN(x) {
			observed = append(observed, x)
		}
	}
	return observed
}

// MarshalJSON encodes NaN as null, and refuses infinities.
func (v Values) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(v))
	for i, x := range v {
		if math.IsInf(x, 0) {
			return nil, fmt.Errorf("value %d is infinite", i)
		}
		if !math.IsNaN(x) {
			out[i] = &x
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON decodes null as NaN.
func (v *Values) UnmarshalJSON(data []byte) error {
	var in []*float64
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*v = make(Values, len(in))
	for i, x := range in {
		(*v)[i] = math.NaN()
		if x != nil {
			(*v)[i] = *x
		}
	}
	return nil
}
