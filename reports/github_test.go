package reports

import (
	"bytes"
	"strings"
	"testing"
)

func TestAnnotationIsOneCommand(t *testing.T) {
	r := fixture(t)
	var b bytes.Buffer
	if err := WriteAnnotation(&b, r, "plans/a,b:"+hostile+"\n::error::x"); err != nil {
		t.Fatal(err)
	}
	golden(t, "annotation.txt", b.Bytes())
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "::error file=") {
		t.Errorf("%q", got)
	}
	for word, level := range map[Word]string{Pass: "::notice ", Unsure: "::warning ", Broken: "::error ", RollbackFailed: "::error "} {
		b.Reset()
		if err := WriteAnnotation(&b, &Report{Verdict: newVerdict(word, "100% of\nit", nil)}, ""); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); !strings.HasPrefix(got, level+"title=") || !strings.HasSuffix(got, "::100%25 of it\n") {
			t.Errorf("%s: %q", word, got)
		}
	}
}

func TestCommandsAreEscaped(t *testing.T) {
	if got := commandData("50%\r\nof: a,b"); got != "50%25%0D%0Aof: a,b" {
		t.Errorf("%q", got)
	}
	if got := commandProperty("a:b,c%\n::error::"); strings.ContainsAny(got, ":,\n") {
		t.Errorf("%q", got)
	}
}

func TestStepSummaryStaysBelowTheLimit(t *testing.T) {
	r := fixture(t)
	whole := written(t, WriteMarkdown, r)
	for _, used := range []int64{0, stepSummaryLimit - 4000, stepSummaryLimit - 100, stepSummaryLimit + 5} {
		var b bytes.Buffer
		if err := WriteStepSummary(&b, r, used); err != nil {
			t.Fatal(err)
		}
		if int64(b.Len())+used > max(stepSummaryLimit, used) {
			t.Errorf("%d bytes after %d", b.Len(), used)
		}
		if used == 0 && !bytes.HasPrefix(b.Bytes(), whole) {
			t.Error("the summary is not the Markdown")
		}
	}
	if got := string(cutLines([]byte(strings.Repeat("x", 200)), 100)); !strings.HasPrefix(got, "\n\n(cut") {
		t.Errorf("of one line that is too long: %q", got)
	}
}
