package capacity

import (
	"fmt"
	"math"
	"time"
)

// A Score tells how an earlier projection did against what came.
type Score struct {
	Series string    `json:"series"`
	Made   time.Time `json:"made"`   // the newest point that the projection knew
	Until  time.Time `json:"until"`  // the newest step that could be compared
	Points int       `json:"points"` // how many steps could be
	MAE    float64   `json:"mae"`    // of the median, in the series' unit
	Bias   float64   `json:"bias"`   // mean of what came less what was expected
	// MASE is the mean absolute error in units of that of the last value then
	// known, 0 where that made no error.
	MASE float64 `json:"mase"`
	Accuracy
	// Limit compares the date of the limit with what came; nil without a limit.
	Limit *LimitScore `json:"limit,omitempty"`
}

// A LimitScore tells when a limit was in fact reached.
type LimitScore struct {
	Limit float64 `json:"limit"`
	// Reached is when it was first reached, nil if it was not yet.
	Reached *time.Time `json:"reached"`
	// Outcome is as expected, early, late or open: within P10 to P90, before,
	// after, or not known yet.
	Outcome string `json:"outcome"`
}

// ScoreProjection compares an earlier projection with what the series has
// brought since. A series that has jumped is compared as it is. It fails if no
// step of the projection has a value yet.
func ScoreProjection(old *Projection, series Series) (*Score, error) {
	if old.Status != Projected || old.To == nil || len(old.Steps) == 0 {
		return nil, fmt.Errorf("scoring the projection of %s: it has no steps", old.Series)
	}
	came, err := observedAt(old, series)
	if err != nil {
		return nil, fmt.Errorf("scoring the projection of %s: %w", old.Series, err)
	}
	s := &Score{Series: old.Series, Made: *old.To}
	plain := 0.0
	for i, step := range old.Steps {
		y := came[i]
		if math.IsNaN(y) {
			continue
		}
		s.Points++
		s.Until = step.Time
		s.MAE += math.Abs(y - step.Median)
		s.Bias += y - step.Median
		plain += math.Abs(y - old.Last)
		s.Score80 += intervalScore(y, step.Low80, step.High80, 0.2, &s.Coverage80)
		s.Score95 += intervalScore(y, step.Low95, step.High95, 0.05, &s.Coverage95)
	}
	if s.Points == 0 {
		return nil, fmt.Errorf("scoring the projection of %s: nothing has been measured since %s", old.Series, day(*old.To))
	}
	n := float64(s.Points)
	if plain > 0 {
		s.MASE = s.MAE / plain
	}
	s.MAE, s.Bias = s.MAE/n, s.Bias/n
	s.Accuracy = s.mean(s.Points, 1)
	if old.Limit != nil {
		s.Limit = scoreLimit(old, came, s.Until)
	}
	return s, nil
}

// intervalScore returns the score of an interval of confidence 1-alpha, and
// counts a hit.
func intervalScore(y, low, high, alpha float64, hits *float64) float64 {
	// A line without noise has an interval without width, which rounding may miss.
	if rounding := 1e-9 * math.Abs(y); low-rounding <= y && y <= high+rounding {
		*hits++
	}
	return high - low + 2/alpha*(max(0, low-y)+max(0, y-high))
}

// observedAt returns what the series had at each step of the projection, NaN
// where nothing was measured. Counters are continued from where they were.
func observedAt(old *Projection, series Series) ([]float64, error) {
	if len(series.Times) != len(series.Values) {
		return nil, fmt.Errorf("series %s has %d times and %d values", series.Name, len(series.Times), len(series.Values))
	}
	var silent history
	points := silent.sorted(silent.usable(series))
	step := old.Step.Std()
	valleys := old.Limit != nil && old.Limit.Below
	came := make([]float64, len(old.Steps))
	for i := range came {
		came[i] = math.NaN()
	}
	daily := medianSpacing(points) > step/2
	counted, newest := 0.0, old.Last // before the last reset, and by the counter itself
	for _, p := range points {
		if old.Kind == Counter && p.time.After(*old.To) {
			if p.value < newest {
				counted += newest
			}
			newest = p.value
			p.value += counted
		}
		ahead := float64(p.time.Sub(*old.To)) / float64(step)
		i := int(math.Ceil(ahead)) - 1
		if daily {
			i = int(math.Round(ahead)) - 1
		}
		if i < 0 || i >= len(came) || !p.time.After(*old.To) {
			continue
		}
		if math.IsNaN(came[i]) || old.Kind != Gauge || (p.value > came[i]) != valleys {
			came[i] = p.value
		}
	}
	return came, nil
}

func scoreLimit(old *Projection, came []float64, until time.Time) *LimitScore {
	l := &LimitScore{Limit: old.Limit.Limit, Outcome: "open"}
	for i, y := range came {
		if (y >= l.Limit && !old.Limit.Below) || (y <= l.Limit && old.Limit.Below) {
			l.Reached = &old.Steps[i].Time
			break
		}
	}
	p10, p90 := old.Limit.P10, old.Limit.P90
	switch {
	case l.Reached == nil && p90 != nil && until.After(*p90):
		l.Outcome = "late"
	case l.Reached == nil:
	case p10 == nil || l.Reached.Before(*p10):
		l.Outcome = "early"
	case p90 != nil && l.Reached.After(*p90):
		l.Outcome = "late"
	default:
		l.Outcome = "as expected"
	}
	return l
}
