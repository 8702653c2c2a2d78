package dbbench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
)

// A generator makes the source of one parameter's values for one client.
type generator func(*rand.Rand) draw

// A draw appends the text of a value to b.
type draw func(b []byte) []byte

var generatorForm = regexp.MustCompile(`(?s)^(int|float|zipf|choice)\((.*)\)$`)

// parseGenerator reads "int(1, 1000)", "float(0, 1)", "zipf(1, 1000, 1.1)" or
// "choice(open, 'in progress')".
func parseGenerator(text string) (generator, error) {
	match := generatorForm.FindStringSubmatch(text)
	if match == nil {
		return nil, fmt.Errorf("%q is none of int(LOW, HIGH), float(LOW, HIGH), zipf(LOW, HIGH, SKEW) and choice(VALUE, ...)", text)
	}
	args, err := splitList(match[2])
	if err != nil {
		return nil, err
	}
	switch match[1] {
	case "choice":
		return choice(args), nil
	case "float":
		return floats(args)
	}
	return integers(match[1], args)
}

func choice(args []string) generator {
	values := make([]string, len(args))
	for i, a := range args {
		values[i] = unquote(a)
	}
	return func(rng *rand.Rand) draw {
		return func(b []byte) []byte { return append(b, values[rng.IntN(len(values))]...) }
	}
}

func floats(args []string) (generator, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("float(LOW, HIGH) needs 2 values, and has %d", len(args))
	}
	low, errLow := strconv.ParseFloat(args[0], 64)
	high, errHigh := strconv.ParseFloat(args[1], 64)
	if errLow != nil || errHigh != nil || !(low <= high) || math.IsInf(high-low, 0) {
		return nil, fmt.Errorf("float(%s, %s) needs two numbers, the lower first", args[0], args[1])
	}
	return func(rng *rand.Rand) draw {
		return func(b []byte) []byte { return strconv.AppendFloat(b, low+rng.Float64()*(high-low), 'g', -1, 64) }
	}, nil
}

// integers makes int, where each value is as likely as another, and zipf, where
// the k-th is drawn in proportion to k^-SKEW.
func integers(kind string, args []string) (generator, error) {
	if want := map[string]int{"int": 2, "zipf": 3}[kind]; len(args) != want {
		return nil, fmt.Errorf("%s needs %d values, and has %d", kind, want, len(args))
	}
	low, errLow := strconv.ParseInt(args[0], 10, 64)
	high, errHigh := strconv.ParseInt(args[1], 10, 64)
	if errLow != nil || errHigh != nil || low > high || high-low < 0 || high-low == math.MaxInt64 {
		return nil, fmt.Errorf("%s(%s, %s) needs two whole numbers, the lower first", kind, args[0], args[1])
	}
	if kind == "int" {
		return func(rng *rand.Rand) draw {
			return func(b []byte) []byte { return strconv.AppendInt(b, low+rng.Int64N(high-low+1), 10) }
		}, nil
	}
	skew, err := strconv.ParseFloat(args[2], 64)
	if err != nil || !(skew > 1) || math.IsInf(skew, 0) {
		return nil, fmt.Errorf("the skew of zipf must be above 1, and is %s", args[2])
	}
	return func(rng *rand.Rand) draw {
		z := rand.NewZipf(rng, skew, 1, uint64(high-low))
		return func(b []byte) []byte { return strconv.AppendInt(b, low+int64(z.Uint64()), 10) }
	}, nil
}
