package capacity

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestScoreOfAProjection(t *testing.T) {
	values := straight(150, 2)
	s := nightly("disk", Gauge, values)
	then := s
	then.Times, then.Values = s.Times[:100], s.Values[:100]
	old := project(t, then, ProjectOptions{Limit: limitAt(220)})
	score, err := ScoreProjection(old, s)
	if err != nil {
		t.Fatal(err)
	}
	if score.Points != 50 || !score.Made.Equal(s.Times[99]) || !score.Until.Equal(s.Times[149]) {
		t.Errorf("%+v", score)
	}
	if score.MASE > 0.3 || score.MAE > 4 || score.Coverage95 < 0.8 || score.Score95 <= 0 {
		t.Errorf("%+v", score)
	}
	if score.Limit.Reached == nil || score.Limit.Outcome != "as expected" {
		t.Errorf("limit %+v of %+v", score.Limit, old.Limit)
	}
}

func TestScoreLimitOutcomes(t *testing.T) {
	days := func(n int) *time.Time {
		d := time.Date(2024, 1, 1+n, 0, 0, 0, 0, time.UTC)
		return &d
	}
	old := &Projection{Series: "x", Kind: Gauge, Status: Projected, To: days(0), Step: 24 * 3600e9, Last: 1}
	for i := range 20 {
		old.Steps = append(old.Steps, Step{Time: *days(i + 1), Median: 1, Low80: 0, High80: 2, Low95: -1, High95: 3})
	}
	old.Limit = &Passage{Limit: 10, P10: days(5), P50: days(8), P90: days(12)}
	for reached, want := range map[int]string{3: "early", 9: "as expected", 14: "late", -1: "late"} {
		values := slices.Repeat([]float64{1}, 20)
		if reached > 0 {
			values[reached-1] = 11
		}
		var came Series
		for i, v := range values {
			came.Times, came.Values = append(came.Times, *days(i + 1)), append(came.Values, v)
		}
		score, err := ScoreProjection(old, came)
		if err != nil || score.Limit.Outcome != want {
			t.Errorf("reached on day %d: %+v, %v", reached, score.Limit, err)
		}
		came.Times, came.Values = came.Times[:4], slices.Repeat([]float64{1}, 4)
		if score, _ := ScoreProjection(old, came); score.Limit.Outcome != "open" || score.Coverage80 != 1 || score.MAE != 0 {
			t.Errorf("after 4 days: %+v", score)
		}
	}
	// One interval of 80 % that was missed by 9: 2 + 9 * 2/0.2.
	score, _ := ScoreProjection(old, Series{Times: []time.Time{*days(7)}, Values: []float64{11}})
	if score.Score80 != 92 || score.Coverage80 != 0 || score.Bias != 10 || score.MASE != 1 {
		t.Errorf("%+v", score)
	}
}

func TestScoreNeedsWhatCame(t *testing.T) {
	s := nightly("x", Gauge, straight(30, 1))
	if _, err := ScoreProjection(project(t, s, ProjectOptions{}), s); err == nil {
		t.Error("nothing came and it was scored")
	}
	if _, err := ScoreProjection(&Projection{Status: InsufficientHistory}, s); err == nil {
		t.Error("a projection without steps was scored")
	}
}

func TestScoreOfACounterThatWasReset(t *testing.T) {
	s := nightly("wal", Counter, straight(40, 0))
	then := s
	then.Times, then.Values = s.Times[:30], s.Values[:30]
	old := project(t, then, ProjectOptions{})
	whole, err := ScoreProjection(old, s)
	if err != nil {
		t.Fatal(err)
	}
	reset := s
	reset.Values = slices.Clone(s.Values)
	for i := 35; i < 40; i++ { // it begins again at 0
		reset.Values[i] -= s.Values[34]
	}
	if score, err := ScoreProjection(old, reset); err != nil || math.Abs(score.MAE-whole.MAE) > 1e-9 {
		t.Errorf("off by %v after a reset, and by %v without: %v", score.MAE, whole.MAE, err)
	}
}
