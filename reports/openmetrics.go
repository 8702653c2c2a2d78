package reports

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// WriteOpenMetrics writes the medians of both sides, the ratios and the verdict
// in the OpenMetrics text format, in base units.
func WriteOpenMetrics(w io.Writer, r *Report) error {
	var b bytes.Buffer
	family := func(name, help string) {
		fmt.Fprintf(&b, "# TYPE %s gauge\n# HELP %s %s\n", name, name, help)
	}
	sample := func(name string, value float64, labels ...string) {
		b.WriteString(name + "{")
		for i := 0; i < len(labels); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `%s="%s"`, labels[i], labelValue(labels[i+1]))
		}
		fmt.Fprintf(&b, "} %s\n", strconv.FormatFloat(value, 'g', 6, 64))
	}
	plan := r.Plan.Name
	family("scaleproof_verdict", "The exit code of the verdict; 0 is a pass.")
	sample("scaleproof_verdict", float64(r.Verdict.ExitCode), "plan", plan, "verdict", string(r.Verdict.Word))
	family("scaleproof_metric", "The median of a metric in its base unit.")
	for _, row := range r.Comparison.Rows {
		for _, s := range []struct {
			phase string
			side  Side
		}{{"before", row.Before}, {"after", row.After}} {
			if s.side.Median != nil {
				sample("scaleproof_metric", *s.side.Median, "plan", plan, "metric", row.Metric, "unit", string(row.Unit), "phase", s.phase)
			}
		}
	}
	family("scaleproof_metric_ratio", "After over before, with the bounds of its interval.")
	for _, row := range r.Comparison.Rows {
		if row.Ratio == nil {
			continue
		}
		for _, bound := range []struct {
			name  string
			value float64
		}{{"estimate", row.Ratio.Value}, {"low", row.Ratio.Low}, {"high", row.Ratio.High}} {
			if !math.IsInf(bound.value, 0) {
				sample("scaleproof_metric_ratio", bound.value, "plan", plan, "metric", row.Metric, "bound", bound.name, "change", string(row.Change))
			}
		}
	}
	b.WriteString("# EOF\n")
	_, err := w.Write(b.Bytes())
	return err
}

func labelValue(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain(text))
}
