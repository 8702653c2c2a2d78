package unit

import (
	"math"
	"strconv"
	"strings"
)

// Format prints a value of a base unit for a person, with three significant
// digits and the prefix that keeps the number between 1 and 1000:
// Format(0.0312, Seconds) is "31.2 ms". NaN, which marks a value that is not
// known, prints as "unknown".
func Format(value float64, base Base) string {
	if math.IsNaN(value) {
		return "unknown"
	}
	if math.IsInf(value, 0) {
		return strings.TrimPrefix(strconv.FormatFloat(value, 'g', -1, 64), "+")
	}
	switch base {
	case Seconds:
		return formatSeconds(value)
	case Bytes:
		return formatBytes(value)
	case BytesPerSecond:
		return formatBytes(value) + "/s"
	case Ratio:
		return number(value*100) + " %"
	case PerSecond, RequestsPerSecond:
		return number(value) + "/s"
	case Cores:
		return number(value) + " cores"
	}
	return number(value)
}

func formatSeconds(s float64) string {
	switch a := math.Abs(s); {
	case a == 0:
		return "0 s"
	case a < 999.5e-9:
		return number(s*1e9) + " ns"
	case a < 999.5e-6:
		return number(s*1e6) + " µs"
	case a < 999.5e-3:
		return number(s*1e3) + " ms"
	case a < 120:
		return number(s) + " s"
	case a < 2*3600:
		return number(s/60) + " min"
	case a < 2*86400:
		return number(s/3600) + " h"
	}
	return number(s/86400) + " d"
}

func formatBytes(b float64) string {
	prefixes := []string{" B", " KiB", " MiB", " GiB", " TiB", " PiB"}
	i := 0
	for math.Abs(b) >= 1023.5 && i < len(prefixes)-1 {
		b, i = b/1024, i+1
	}
	return number(b) + prefixes[i]
}

// number prints three significant digits without an exponent, a whole number
// without decimals, and groups the thousands: 0.0312, 42, 12,345.
func number(v float64) string {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'e', max(2, wholeDigits(v)-1), 64), 64)
	switch a := math.Abs(v); {
	case a != 0 && a < 0.0005:
		return strconv.FormatFloat(v, 'e', 2, 64)
	case a == math.Trunc(a):
		return groupThousands(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'f', 2-int(math.Floor(math.Log10(math.Abs(v)))), 64)
}

// wholeDigits counts the digits before the decimal point.
func wholeDigits(v float64) int {
	return len(strconv.FormatFloat(math.Abs(math.Trunc(v)), 'f', 0, 64))
}

func groupThousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
