package reports

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/unit"
)

// An Outlook is the nightly report: how long everything lasts.
type Outlook struct {
	SchemaVersion int       `json:"schema_version"`
	GeneratedAt   time.Time `json:"generated_at"`
	Nights        int       `json:"nights"` // snapshots of the history
	Headline      string    `json:"headline"`
	// Limits are what has a limit, the most urgent first; Growing what has none,
	// the fastest first; Unknown what has too little history.
	Limits     []*capacity.Projection `json:"limits"`
	Growing    []*capacity.Projection `json:"growing"`
	Unknown    []*capacity.Projection `json:"unknown"`
	Conditions []ConditionResult      `json:"conditions,omitempty"`
	Verdict    Verdict                `json:"verdict"`
	Warnings   []string               `json:"warnings,omitempty"`
}

// Order puts the most urgent and the fastest first, and sets the headline.
func (o *Outlook) Order() {
	slices.SortStableFunc(o.Limits, func(a, b *capacity.Projection) int { return soonness(a.Limit).Compare(soonness(b.Limit)) })
	slices.SortStableFunc(o.Growing, func(a, b *capacity.Projection) int { return cmp.Compare(b.Growth.Value, a.Growth.Value) })
	first := firstLimit(o.Limits)
	switch {
	case first != nil:
		o.Headline = fmt.Sprintf("First comes %s: %s.", first.Series, first.Limit)
	case len(o.Limits) > 0:
		o.Headline = fmt.Sprintf("None of %d limits is reached by %s.", len(o.Limits), o.Limits[0].Limit.Horizon.Format(time.DateOnly))
	default:
		o.Headline = "Insufficient history: nothing can be dated yet."
	}
}

// soonness orders limits: those that are not reached come last.
func soonness(p *capacity.Passage) time.Time {
	if p.P10 == nil && p.Status != capacity.Exceeded {
		return p.Horizon.AddDate(1000, 0, 0)
	}
	return urgency(p)
}

// Judge fails the outlook where a condition such as disk.p90 < 30d is true: the
// part before the last dot names series by a part of their name, and the last
// which date of theirs, as the time until then.
func (o *Outlook) Judge(conditions []expr.Condition) {
	if o.Headline == "" {
		o.Order()
	}
	for _, c := range conditions {
		o.Conditions = append(o.Conditions, o.judge(c))
	}
	failed, unsure := reasonsOf(o.Conditions, Fail), reasonsOf(o.Conditions, Unsure)
	switch {
	case len(failed) > 0:
		o.Verdict = newVerdict(Fail, o.Headline, failed)
	case len(unsure) > 0:
		o.Verdict = newVerdict(Unsure, o.Headline, unsure)
	default:
		o.Verdict = newVerdict(Pass, o.Headline, nil)
	}
}

func (o *Outlook) judge(c expr.Condition) ConditionResult {
	result := ConditionResult{Kind: Gate, Text: "not " + c.Text, Outcome: Unsure, Reason: "no series of that name has a limit"}
	at := strings.LastIndexByte(c.Metric, '.')
	name, quantile := c.Metric[:max(at, 0)], c.Metric[at+1:]
	for _, p := range o.Unknown {
		if capacity.Named(p.Series, name) {
			result.Reason = "there is too little history of " + p.Series
		}
	}
	for _, p := range o.Limits {
		left, ok := until(p.Limit, quantile, o.GeneratedAt)
		if !capacity.Named(p.Series, name) {
			continue
		}
		if !ok {
			result.Reason = fmt.Sprintf("%q is none of p10, p50 and p90", quantile)
			break
		}
		if result.Outcome == Unsure {
			result.Outcome, result.Reason = Pass, fmt.Sprintf("%s: %s", p.Series, p.Limit)
		}
		if c.Holds(left) {
			result.Outcome, result.Reason = Fail, fmt.Sprintf("%s: %s", p.Series, p.Limit)
			break
		}
	}
	return result
}

// until returns the seconds until a date of a limit, infinite where it lies beyond
// the horizon.
func until(p *capacity.Passage, quantile string, now time.Time) (seconds float64, ok bool) {
	date, ok := map[string]*time.Time{"p10": p.P10, "p50": p.P50, "p90": p.P90}[quantile]
	switch {
	case !ok:
		return 0, false
	case p.Status == capacity.Exceeded:
		return 0, true
	case date == nil:
		return math.Inf(1), true
	}
	return date.Sub(now).Seconds(), true
}

// shownGrowing is how many growing series are shown.
const shownGrowing = 10

// WriteOutlook writes an outlook for a terminal.
func WriteOutlook(w io.Writer, o *Outlook, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s\n  %d snapshots\n", t.paint(bold, plain(o.Headline)), o.Nights)
	t.conditions(o.Conditions)
	if len(o.Limits) > 0 {
		t.heading("Limits")
		for _, p := range o.Limits {
			t.printf("  %s  %s of %s\n", t.paint(bold, plain(p.Series)), unit.Format(p.Last, p.Unit), unit.Format(p.Limit.Limit, p.Unit))
			t.printf("      %s; %s a day, %s confidence\n", p.Limit, unit.Format(p.Growth.Value, p.Unit), p.Confidence)
		}
	}
	for i, p := range o.Growing {
		if i == 0 {
			t.heading("Growing")
		}
		if i == shownGrowing {
			t.printf("  and %d more\n", len(o.Growing)-i)
			break
		}
		t.printf("  %-44s %10s  %s a day (%s to %s)\n", plain(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Growth.Value, p.Unit), unit.Format(p.Growth.Low, p.Unit), unit.Format(p.Growth.High, p.Unit))
	}
	if len(o.Unknown) > 0 {
		t.heading("Not known")
		for _, p := range o.Unknown[:min(len(o.Unknown), shownGrowing)] {
			t.printf("  %s: insufficient history, %d points%s\n", plain(p.Series), p.Points, enoughText(p))
		}
		if n := len(o.Unknown) - shownGrowing; n > 0 {
			t.printf("  and %d more\n", n)
		}
	}
	t.notes(o.Warnings)
	return t.out.Flush()
}

func enoughText(p *capacity.Projection) string {
	if p.EnoughAt == nil {
		return ""
	}
	return ", enough on " + p.EnoughAt.Format(time.DateOnly)
}

// WriteOutlookMarkdown writes an outlook for a page or a message.
func WriteOutlookMarkdown(w io.Writer, o *Outlook) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%d snapshots, %s\n", md(o.Headline), o.Nights, o.GeneratedAt.Format(time.RFC1123))
	for i, c := range o.Conditions {
		if i == 0 {
			b.WriteString("\n| | condition | |\n|---|---|---|\n")
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", map[Word]string{Pass: "ok", Fail: "**failed**", Unsure: "unknown"}[c.Outcome], code(c.Text), md(c.Reason))
	}
	for i, p := range o.Limits {
		if i == 0 {
			b.WriteString("\n| limit | now | of | a day | reached | confidence |\n|---|--:|--:|--:|---|---|\n")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", code(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Limit.Limit, p.Unit), unit.Format(p.Growth.Value, p.Unit), md(p.Limit.String()), p.Confidence)
	}
	for i, p := range o.Growing[:min(len(o.Growing), shownGrowing)] {
		if i == 0 {
			b.WriteString("\n| growing | now | a day | between |\n|---|--:|--:|---|\n")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s to %s |\n", code(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Growth.Value, p.Unit), unit.Format(p.Growth.Low, p.Unit), unit.Format(p.Growth.High, p.Unit))
	}
	if n := len(o.Unknown); n > 0 {
		fmt.Fprintf(&b, "\n%d series have insufficient history.\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
