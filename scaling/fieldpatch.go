package scaling

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"scaleproof/internal/kubectl"
)

// An operation is one of a JSON Patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// restoringPatch is the JSON Patch that gives fields of a live object the values
// in want, and that the API server refuses as a Conflict where the object has
// changed since it was read.
func restoringPatch(live kubectl.Object, want map[string]any) ([]byte, error) {
	operations := []operation{{"replace", "/metadata/resourceVersion", live.Version()}}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if reflect.DeepEqual(fieldAt(live, path), want[path]) {
			continue
		}
		operations = append(operations, restoring(live, path, want[path]))
	}
	slices.SortStableFunc(operations[1:], byRemoval)
	patch, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("writing a patch: %w", err)
	}
	return patch, nil
}

// byRemoval puts removals last, and among them those at later elements of a list
// first, so that the places in the other operations stay true.
func byRemoval(a, b operation) int {
	switch removesA, removesB := a.Op == "remove", b.Op == "remove"; {
	case !removesA && !removesB:
		return 0
	case !removesA:
		return -1
	case !removesB:
		return 1
	}
	return slices.CompareFunc(strings.Split(b.Path, "/"), strings.Split(a.Path, "/"), func(x, y string) int {
		i, errX := strconv.Atoi(x)
		j, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return i - j
		}
		return strings.Compare(x, y)
	})
}

// restoring is the operation that gives one field its value. Where even what
// holds the field is gone, it is made again.
func restoring(live kubectl.Object, path string, value any) operation {
	var at any = map[string]any(live)
	pointer := ""
	segments := strings.Split(strings.TrimPrefix(path, following), "/")[1:]
	for i, segment := range segments {
		below := children(at)
		child, there := below[segment]
		if list, ok := at.([]any); ok {
			pointer += "/" + place(list, segment)
		} else {
			pointer += "/" + segment
		}
		switch last := i == len(segments)-1; {
		case last && value == nil:
			return operation{Op: "remove", Path: pointer}
		case last && there:
			return operation{"replace", pointer, value}
		case !there:
			return operation{"add", pointer, nested(segments[i+1:], value)}
		}
		at = child
	}
	return operation{"replace", pointer, value}
}

// place is the index of the element [name] of a list, or - for one past its end.
func place(list []any, segment string) string {
	for i, item := range list {
		m, _ := item.(map[string]any)
		if name, ok := m["name"].(string); ok && "["+escapePointer(name)+"]" == segment {
			return strconv.Itoa(i)
		}
	}
	return "-"
}

// nested is a value with the maps of a path around it.
func nested(segments []string, value any) any {
	for _, segment := range slices.Backward(segments) {
		key := strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
		value = map[string]any{key: value}
	}
	return value
}
