package validation

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// scrapeLimit bounds the size of a page of metrics.
const scrapeLimit = 32 << 20

// scrape reads a Prometheus text page and returns the gauges and counters whose
// names contain the plan's match, as scrape.<name>[.<label value>...].
func scrape(ctx context.Context, client *http.Client, s plan.Scrape) ([]snapshot.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("scraping %s: %w", s.URL, err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("scraping %s: %w", s.URL, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scraping %s: it answered %s", s.URL, answer.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(answer.Body, scrapeLimit))
	if err != nil {
		return nil, fmt.Errorf("scraping %s: %w", s.URL, err)
	}
	var samples []snapshot.Sample
	for name, family := range families {
		if !strings.Contains(name, s.Match) {
			continue
		}
		for _, m := range family.GetMetric() {
			if value, ok := scalarOf(m); ok {
				samples = append(samples, snapshot.Sample{
					Name: scrapeName(name, m), Unit: baseOf(name), Better: snapshot.Neutral, Value: value,
				})
			}
		}
	}
	slices.SortFunc(samples, func(a, b snapshot.Sample) int { return strings.Compare(a.Name, b.Name) })
	return samples, nil
}

func scalarOf(m *dto.Metric) (float64, bool) {
	value := math.NaN()
	switch {
	case m.Gauge != nil:
		value = m.Gauge.GetValue()
	case m.Counter != nil:
		value = m.Counter.GetValue()
	case m.Untyped != nil:
		value = m.Untyped.GetValue()
	}
	return value, !math.IsNaN(value) && !math.IsInf(value, 0)
}

// scrapeName makes a metric's path of a series' name and label values.
func scrapeName(name string, m *dto.Metric) string {
	parts := []string{"scrape", name}
	for _, label := range m.GetLabel() {
		parts = append(parts, strings.Map(pathRune, label.GetValue()))
	}
	return strings.Join(parts, ".")
}

func pathRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
		return r
	}
	return '_'
}

// baseOf takes the unit from a series' name, which by Prometheus' convention
// ends with it.
func baseOf(name string) unit.Base {
	switch {
	case strings.HasSuffix(name, "_seconds"), strings.HasSuffix(name, "_seconds_total"):
		return unit.Seconds
	case strings.HasSuffix(name, "_bytes"), strings.HasSuffix(name, "_bytes_total"):
		return unit.Bytes
	case strings.HasSuffix(name, "_ratio"):
		return unit.Ratio
	}
	return unit.Count
}
