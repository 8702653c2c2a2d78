package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"github.com/theory/jsonpath"
)

// keptForChecks is how much of a body checks see, in bytes.
const keptForChecks = 1 << 20

// A check says what an answer must be. Its forms, one a line, are
//
//	status 200,204,300-399
//	header Content-Type contains json
//	header X-Cache exists
//	body contains "status":"ok"
//	body matches "healthy":\s*true
//	json $.status == "ok"
//	json $.items[0].id exists
//
// JSON paths are those of RFC 9535. Without a status check, answers of 400 and
// above are failures.
type check struct {
	text   string
	status []statusRange // where it is a status check
	answer func(head, body []byte) bool
}

type statusRange struct{ low, high int }

// parseChecks reads the checks of a configuration.
func parseChecks(texts []string) (checks []check, err error) {
	for i, text := range texts {
		c, err := parseCheck(text)
		if err != nil {
			return nil, fmt.Errorf("check %d, %q: %w", i, text, err)
		}
		checks = append(checks, c)
	}
	return checks, nil
}

func parseCheck(text string) (c check, err error) {
	c.text = text
	subject, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	switch subject {
	case "status":
		c.status, err = parseStatuses(rest)
	case "header":
		c.answer, err = headerCheck(rest)
	case "body":
		c.answer, err = bodyCheck(rest)
	case "json":
		c.answer, err = jsonCheck(rest)
	default:
		err = errors.New("it begins with none of status, header, body and json")
	}
	return c, err
}

func parseStatuses(text string) (ranges []statusRange, err error) {
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, errTo := strconv.Atoi(high)
		if err != nil || errTo != nil || from < 100 || to > 999 || to < from {
			return nil, fmt.Errorf("%q is neither a status code nor a range such as 200-299", part)
		}
		ranges = append(ranges, statusRange{from, to})
	}
	return ranges, nil
}

func headerCheck(text string) (func(head, _ []byte) bool, error) {
	name, rest, _ := strings.Cut(text, " ")
	verb, value, _ := strings.Cut(strings.TrimSpace(rest), " ")
	key := []byte(textproto.CanonicalMIMEHeaderKey(name))
	var holds func([]byte) bool
	switch {
	case name == "":
		return nil, errors.New("it names no header")
	case verb == "exists" && value == "":
		holds = func([]byte) bool { return true }
	case verb == "contains" && value != "":
		holds = func(found []byte) bool { return bytes.Contains(found, []byte(value)) }
	case verb == "==":
		holds = func(found []byte) bool { return string(found) == value }
	default:
		return nil, errors.New("after the header's name comes exists, contains TEXT or == TEXT")
	}
	return func(head, _ []byte) bool {
		for line := range bytes.SplitSeq(head, []byte("\n")) {
			found, value, ok := bytes.Cut(line, []byte(":"))
			if ok && bytes.EqualFold(found, key) && holds(bytes.TrimSpace(value)) {
				return true
			}
		}
		return false
	}, nil
}

func bodyCheck(text string) (func(_, body []byte) bool, error) {
	verb, value, _ := strings.Cut(text, " ")
	switch {
	case verb == "contains" && value != "":
		return func(_, body []byte) bool { return bytes.Contains(body, []byte(value)) }, nil
	case verb == "matches" && value != "":
		pattern, err := regexp.Compile(value)
		if err != nil {
			return nil, err
		}
		return func(_, body []byte) bool { return pattern.Match(body) }, nil
	}
	return nil, errors.New("after body comes contains TEXT or matches REGEXP")
}

func jsonCheck(text string) (func(_, body []byte) bool, error) {
	if expression, exists := strings.CutSuffix(text, " exists"); exists {
		path, err := jsonpath.Parse(strings.TrimSpace(expression))
		if err != nil {
			return nil, err
		}
		return func(_, body []byte) bool { return len(selectJSON(path, body)) > 0 }, nil
	}
	path, want, err := splitComparison(text)
	if err != nil {
		return nil, err
	}
	canonical, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	return func(_, body []byte) bool {
		found := selectJSON(path, body)
		for _, v := range found {
			if text, err := json.Marshal(v); err != nil || !bytes.Equal(text, canonical) {
				return false
			}
		}
		return len(found) > 0
	}, nil
}

// splitComparison reads PATH == VALUE, each of which may hold a == of its own: the one
// between them is that at which both can be read.
func splitComparison(text string) (path *jsonpath.Path, value any, err error) {
	err = errors.New("after the path comes == VALUE or exists")
	for at := range len(text) {
		want, found := strings.CutPrefix(text[at:], "==")
		if !found {
			continue
		}
		if path, err = jsonpath.Parse(strings.TrimSpace(text[:at])); err != nil {
			continue
		}
		if err = json.Unmarshal([]byte(want), &value); err == nil {
			return path, value, nil
		}
		err = fmt.Errorf("%q is not a JSON value: %w", strings.TrimSpace(want), err)
	}
	return nil, nil, err
}

func selectJSON(path *jsonpath.Path, body []byte) jsonpath.NodeList {
	var document any
	if json.Unmarshal(body, &document) != nil {
		return nil
	}
	return path.Select(document)
}

// wantsAnswer reports whether a check looks at more than the status.
func wantsAnswer(checks []check) bool {
	for _, c := range checks {
		if c.answer != nil {
			return true
		}
	}
	return false
}

// hasStatus reports whether the checks judge the status themselves.
func hasStatus(checks []check) bool {
	for _, c := range checks {
		if c.status != nil {
			return true
		}
	}
	return false
}

// holds reports whether an answer is what c says.
func (c *check) holds(status int, head, body []byte) bool {
	if c.answer != nil {
		return c.answer(head, body)
	}
	for _, r := range c.status {
		if status >= r.low && status <= r.high {
			return true
		}
	}
	return false
}
