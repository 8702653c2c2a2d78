package reports

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func diffText(lines []diffLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Op + l.Text + "\n")
	}
	return b.String()
}

func TestDiffStates(t *testing.T) {
	got := diffText(diffStates(`{"deployment/app": {"/spec/replicas": 1, "/spec/paused": false}}`, `{"deployment/app": {"/spec/replicas": 5, "/spec/paused": false}}`))
	want := ` {
   "deployment/app": {
-    "/spec/replicas": 1,
+    "/spec/replicas": 5,
     "/spec/paused": false
   }
 }
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if lines := diffStates("1", "4"); lines != nil {
		t.Errorf("two short states have a difference of their own: %v", lines)
	}
}

// What went and what came, put together again, are the two texts.
func TestDiffLinesIsWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for range 300 {
		text := func() []string {
			lines := make([]string, rng.IntN(12))
			for i := range lines {
				lines[i] = string(rune('a' + rng.IntN(4)))
			}
			return lines
		}
		a, b := text(), text()
		var before, after []string
		for _, l := range diffLines(a, b) {
			if l.Op != "+" {
				before = append(before, l.Text)
			}
			if l.Op != "-" {
				after = append(after, l.Text)
			}
		}
		if !slices.Equal(a, before) || !slices.Equal(b, after) {
			t.Fatalf("%v and %v became %v and %v", a, b, before, after)
		}
	}
}
