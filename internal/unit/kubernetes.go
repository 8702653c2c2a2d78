package unit

import (
	"fmt"
	"strconv"
	"strings"
)

// maxQuantity is about the largest number that Kubernetes takes, an exabyte.
const maxQuantity = 1e18

// ParseKubernetes reads a Kubernetes quantity: "500m", "15k", "2Gi", "1e3". Its result
// is finite and not negative.
func ParseKubernetes(text string) (float64, error) {
	number, factor := text, 1.0
	for _, s := range []struct {
		suffix string
		factor float64
	}{
		{"Ki", 1 << 10},
		{"Mi", 1 << 20},
		{"Gi", 1 << 30},
		{"Ti", 1 << 40},
		{"Pi", 1 << 50},
		{"Ei", 1 << 60},
		{"n", 1e-9},
		{"u", 1e-6},
		{"m", 1e-3},
		{"k", 1e3},
		{"M", 1e6},
		{"G", 1e9},
		{"T", 1e12},
		{"P", 1e15},
		{"E", 1e18},
	} {
		if rest, ok := strings.CutSuffix(number, s.suffix); ok {
			number, factor = rest, s.factor
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.Trim(number, "0123456789.eE+-") != "" || v < 0 || v*factor > maxQuantity {
		return 0, fmt.Errorf("%q is no quantity (such as 500m, 15k or 2Gi)", text)
	}
	return v * factor, nil
}
