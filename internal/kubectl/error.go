package kubectl

import (
	"errors"
	"regexp"
	"strings"
)

// A Reason is why kubectl failed. Those that the API server gave are spelt as it
// spells them.
type Reason string

// The reasons that callers tell apart.
const (
	NotFound      Reason = "NotFound"
	AlreadyExists Reason = "AlreadyExists"
	Conflict      Reason = "Conflict" // of resource versions, or of field managers
	Forbidden     Reason = "Forbidden"
	Unauthorized  Reason = "Unauthorized"
	Invalid       Reason = "Invalid"
	Unreachable   Reason = "Unreachable" // no answer, or none that the server stands by
	NoKind        Reason = "NoKind"      // the server does not know this kind
	NoContext     Reason = "NoContext"   // the kubeconfig does not have the context
	NoKubectl     Reason = "NoKubectl"   // the program is not there
	Unknown       Reason = "Unknown"
)

// An Error is a failure of kubectl.
type Error struct {
	Reason  Reason
	Doing   string // what kubectl was called for: "patch deployment/app"
	Message string // what it said
	Err     error
}

func (e *Error) Error() string { return "kubectl " + e.Doing + ": " + e.Message }
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason of the *Error that err wraps, and nothing where it
// wraps none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// serverReason is how kubectl prints the reason that the API server has given.
var serverReason = regexp.MustCompile(`Error from server \((\w+)\)`)

// said are the words by which kubectl tells what has no reason of the server's.
var said = []struct {
	words  string
	reason Reason
}{
	{"conflict:", Conflict}, // Apply failed with 1 conflict: conflict with "helm"
	{"conflicts:", Conflict},
	{"the object has been modified", Conflict}, // as apply says it
	{"is invalid:", Invalid},
	{"is immutable", Invalid},
	{"You must be logged in", Unauthorized},
	{"the server doesn't have a resource type", NoKind},
	{"no matches for kind", NoKind},
	{"does not exist", NoContext}, // error: context "x" does not exist
	{"no configuration has been provided", NoContext},
	{"Unable to connect to the server", Unreachable},
	{"The connection to the server", Unreachable},
	{"unable to handle the request", Unreachable},
	{"connection refused", Unreachable},
	{"connection reset", Unreachable},
	{"connection lost", Unreachable},
	{"no route to host", Unreachable},
	{"i/o timeout", Unreachable},
	{"TLS handshake timeout", Unreachable},
	{"Client.Timeout exceeded", Unreachable},
	{"context deadline exceeded", Unreachable},
	{"request timed out", Unreachable},
	{": EOF", Unreachable},
}

// classify tells the reason from what kubectl printed on its standard error.
func classify(text string) Reason {
	if match := serverReason.FindStringSubmatch(text); match != nil {
		switch reason := Reason(match[1]); reason {
		case "ServiceUnavailable", "Timeout", "ServerTimeout", "TooManyRequests", "InternalError":
			return Unreachable
		default:
			return reason
		}
	}
	for _, s := range said {
		if strings.Contains(text, s.words) {
			return s.reason
		}
	}
	return Unknown
}

// message is the part of what kubectl printed that tells a person something.
func message(text string) string {
	text, _, _ = strings.Cut(text, "\nPlease review the fields above") // a page on conflicts
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		// Lines of its log, one for each attempt, begin with a letter and a date.
		if !logLine.MatchString(line) && !strings.HasPrefix(line, "Warning:") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// manager is how kubectl names who manages a field that an apply would change.
var manager = regexp.MustCompile(`conflicts? with "([^"]+)"`)

// Managers returns the other managers of fields that an apply has failed for.
func Managers(err error) []string {
	var e *Error
	if !errors.As(err, &e) || e.Reason != Conflict {
		return nil
	}
	var names []string
	for _, match := range manager.FindAllStringSubmatch(e.Message, -1) {
		names = append(names, match[1])
	}
	return names
}

var logLine = regexp.MustCompile(`^[EWI]\d{4} `)
