package reports

import (
	"bytes"
	"encoding/json"
	"strings"
)

// A diffLine is a line of a difference: Op is "+" for one that came, "-" for one
// that went, " " for one that stayed.
type diffLine struct{ Op, Text string }

// maxDiffLines bounds the texts that are compared line by line.
const maxDiffLines = 400

// diffStates returns how a step's state changed, line by line; nil where both are
// short enough to stand side by side. JSON is laid out first.
func diffStates(before, after string) []diffLine {
	a, b := stateLines(before), stateLines(after)
	if before == after || len(a) <= 1 && len(b) <= 1 && len(before) <= 40 && len(after) <= 40 {
		return nil
	}
	return diffLines(a, b)
}

func stateLines(text string) []string {
	var laidOut bytes.Buffer
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") && json.Indent(&laidOut, []byte(trimmed), "", "  ") == nil {
		text = laidOut.String()
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[:min(len(lines), maxDiffLines)]
}

// diffLines is the shortest difference, by the longest common subsequence.
func diffLines(a, b []string) []diffLine {
	common := make([][]int, len(a)+1) // of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var lines []diffLine
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, diffLine{" ", a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			lines = append(lines, diffLine{"-", a[i]})
			i++
		default:
			lines = append(lines, diffLine{"+", b[j]})
			j++
		}
	}
	return lines
}
