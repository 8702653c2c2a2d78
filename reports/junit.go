package reports

import (
	"encoding/xml"
	"fmt"
	"io"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string      `xml:"classname,attr"`
	Name    string      `xml:"name,attr"`
	Failure *junitFault `xml:"failure"`
	Error   *junitFault `xml:"error"`
	Skipped *junitFault `xml:"skipped"`
	Out     string      `xml:"system-out,omitempty"`
}

// A junitFault has its text as message and as body: some readers show one, some
// the other.
type junitFault struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes a report as JUnit XML: a test case per condition, and one
// for the run. Failed conditions are failures, undecided ones are skipped, and a
// run that could not measure or go back is an error.
func WriteJUnit(w io.Writer, r *Report) error {
	suite := junitSuite{Name: plain(r.Plan.Name), Time: fmt.Sprintf("%.3f", r.FinishedAt.Sub(r.StartedAt).Seconds())}
	for _, c := range r.Conditions {
		suite.add(junitCase{Class: string(c.Kind), Name: plain(c.Text)}, c.Outcome, plain(c.Reason))
	}
	for _, row := range r.Comparison.Rows {
		if !row.Gate {
			suite.add(junitCase{Class: "metric", Name: plain(row.Metric)}, Pass, string(row.Change)+": "+plain(row.Reason))
		}
	}
	suite.add(junitCase{Class: "run", Name: "verdict"}, r.Verdict.Word, plain(r.Verdict.Headline))
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", " ")
	if err := encoder.Encode(suite); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(c junitCase, outcome Word, text string) {
	s.Tests++
	fault := &junitFault{text, text}
	switch outcome {
	case Pass:
		c.Out = text
	case Fail:
		s.Failures++
		c.Failure = fault
	case Unsure:
		s.Skipped++
		c.Skipped = fault
	default:
		s.Errors++
		c.Error = fault
	}
	s.Cases = append(s.Cases, c)
}
