package scaling

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"scaleproof/internal/kubectl"
)

// A fieldState is what a step on Kubernetes captures: the values of the fields
// that it changes, by object (kind/name) and by path. Only those fields are
// compared, restored and written down, so that neither what others change beside
// them nor an object's other content is touched or told.
//
// A path is a JSON pointer (RFC 6901) in which an element of a list whose
// elements have names stands as [name]. The empty path is the object itself: its
// fingerprint, or nil where there is none. A path behind following is of a field that
// the step lets others change.
type fieldState map[string]map[string]any

func (s fieldState) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		return err.Error() // can't happen: it holds what JSON held
	}
	return string(text)
}

func parseState(text string) (fieldState, error) {
	s := fieldState{}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&s); err != nil {
		return nil, fmt.Errorf("reading a captured state: %w", err)
	}
	return s, nil
}

func (s fieldState) set(target, path string, value any) {
	if s[target] == nil {
		s[target] = map[string]any{}
	}
	s[target][path] = value
}

// following marks the path of a field that an autoscaler writes which the step makes:
// going back gives it its value from before, whatever it has become.
const following = "?"

// followed reports whether the fields of an object hold a path as a followed one.
func followed(fields map[string]any, path string) bool {
	_, ok := fields[following+path]
	return ok
}

// own returns the fields that the step itself writes.
func own(fields map[string]any) map[string]any {
	all := map[string]any{}
	for path, value := range fields {
		if !strings.HasPrefix(path, following) {
			all[path] = value
		}
	}
	return all
}

// volatile are the fields that the API server and its controllers write beside
// whatever anyone asks of them.
var volatile = []string{
	"/status", "/metadata/resourceVersion", "/metadata/generation", "/metadata/managedFields", "/metadata/uid",
	"/metadata/creationTimestamp", "/metadata/annotations/deployment.kubernetes.io~1revision",
}

// changedPaths returns the paths at which two versions of an object differ, in
// order.
func changedPaths(before, after kubectl.Object) []string {
	var paths []string
	comparePaths(map[string]any(before), map[string]any(after), "", &paths)
	slices.Sort(paths)
	return paths
}

func comparePaths(before, after any, path string, paths *[]string) {
	if slices.Contains(volatile, path) || reflect.DeepEqual(before, after) {
		return
	}
	b, a := children(before), children(after)
	if path != "" && (b == nil || a == nil || !sameOrder(before, after)) {
		*paths = append(*paths, path)
		return
	}
	for segment := range union(b, a) {
		bv, inBefore := b[segment]
		av, inAfter := a[segment]
		if at := path + "/" + segment; inBefore && inAfter {
			comparePaths(bv, av, at, paths)
		} else if !slices.Contains(volatile, at) {
			*paths = append(*paths, at)
		}
	}
}

// children returns what is below a value by the segment of the path to it, and
// nil for a value that counts as a whole.
func children(value any) map[string]any {
	below := map[string]any{}
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			below[escapePointer(key)] = child
		}
	case []any:
		for _, item := range v {
			m, _ := item.(map[string]any)
			name, ok := m["name"].(string)
			segment := "[" + escapePointer(name) + "]"
			if _, twice := below[segment]; !ok || twice {
				return nil
			}
			below[segment] = item
		}
	default:
		return nil
	}
	return below
}

// sameOrder reports whether two lists have the elements that both have in the
// same order; what is no list has no order.
func sameOrder(before, after any) bool {
	b, _ := before.([]any)
	a, _ := after.([]any)
	_, inB := before.([]any)
	_, inA := after.([]any)
	if inA != inB {
		return false // a map has become a list
	}
	names := func(list, other []any) []string {
		var common []string
		for _, item := range list {
			name, _ := item.(map[string]any)["name"].(string)
			if slices.ContainsFunc(other, func(o any) bool { return o.(map[string]any)["name"] == name }) {
				common = append(common, name)
			}
		}
		return common
	}
	return slices.Equal(names(b, a), names(a, b))
}

func union(a, b map[string]any) map[string]struct{} {
	keys := map[string]struct{}{}
	for key := range maps.Keys(a) {
		keys[key] = struct{}{}
	}
	for key := range maps.Keys(b) {
		keys[key] = struct{}{}
	}
	return keys
}

func escapePointer(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// fieldAt returns what an object has at a path, or nil.
func fieldAt(o kubectl.Object, path string) any {
	path = strings.TrimPrefix(path, following)
	var value any = map[string]any(o)
	for _, segment := range strings.Split(path, "/")[1:] {
		value = children(value)[segment]
	}
	return value
}

// mergeFields is the three-way rule. A field that is as the action made it goes
// back to what it was before; one that has been changed back stays; one that
// someone else has changed stays too, and is a conflict.
func mergeFields(before, after, now fieldState) (want fieldState, conflicts []string) {
	want = fieldState{}
	for _, target := range slices.Sorted(maps.Keys(before)) {
		for _, path := range slices.Sorted(maps.Keys(before[target])) {
			was, made, is := before[target][path], after[target][path], now[target][path]
			switch {
			case reflect.DeepEqual(is, was), alike(path, was, is, made),
				is != nil && (strings.HasPrefix(path, following) || followed(before[target], path)):
				want.set(target, path, was)
			default:
				want.set(target, path, is)
				conflicts = append(conflicts, fmt.Sprintf("someone has changed %s %s from %s to %s meanwhile: it was left alone, and was %s before the action",
					target, path, plain(made), plain(is), plain(was)))
			}
		}
	}
	return want, conflicts
}

// diff writes what becomes of a state, a line for each field, or one for a state
// that has none.
func diff(before, after string) []string {
	if after == "" || before == after {
		return nil
	}
	was, errWas := parseState(before)
	becomes, errBecomes := parseState(after)
	if errWas != nil || errBecomes != nil {
		return []string{before + " -> " + after}
	}
	var lines []string
	for _, target := range slices.Sorted(maps.Keys(becomes)) {
		for _, path := range slices.Sorted(maps.Keys(becomes[target])) {
			old, made := was[target][path], becomes[target][path]
			switch {
			case path == "":
				lines = append(lines, target+": absent -> made")
			case !reflect.DeepEqual(old, made):
				lines = append(lines, fmt.Sprintf("%s %s: %s -> %s", target, path, plain(old), plain(made)))
			}
		}
	}
	return lines
}

// alike compares what has become of a field, which was was, with what a dry run said
// of it: the API server gives a Service node ports of its choice, other ones each
// time.
func alike(path string, was, a, b any) bool {
	ports := path == "/spec/ports" || strings.HasPrefix(path, "/spec/ports/") || path == "/spec/healthCheckNodePort"
	if !ports || strings.Contains(plain(was), `"nodePort":`) || was != nil && isNodePort(path) {
		return reflect.DeepEqual(a, b)
	}
	if isNodePort(path) {
		return (a == nil) == (b == nil)
	}
	return reflect.DeepEqual(withoutNodePorts(a), withoutNodePorts(b))
}

func isNodePort(path string) bool {
	return path == "/spec/healthCheckNodePort" || strings.HasSuffix(path, "/nodePort")
}

// withoutNodePorts is a copy of a port, or of a list of ports.
func withoutNodePorts(value any) any {
	switch v := value.(type) {
	case []any:
		copied := make([]any, len(v))
		for i, item := range v {
			copied[i] = withoutNodePorts(item)
		}
		return copied
	case map[string]any:
		copied := maps.Clone(v)
		delete(copied, "nodePort")
		return copied
	}
	return value
}

// alikeFields compares the fields of an object as alike does.
func alikeFields(was, a, b map[string]any) bool {
	for path := range union(a, b) {
		_, inA := a[path]
		_, inB := b[path]
		if inA != inB || !alike(path, was[path], a[path], b[path]) {
			return false
		}
	}
	return true
}

// plain writes a value for a person.
func plain(value any) string {
	if value == nil {
		return "absent"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// assigned are the fields that the API server or an autoscaler fills in an object
// that was just made.
var assigned = []string{"/spec/replicas", "/spec/volumeName", "/spec/clusterIP", "/spec/clusterIPs", "/spec/ports", "/spec/healthCheckNodePort", "/metadata/annotations", "/metadata/finalizers"}

// restartedAt is where a restart is written: it asks for the same pods once more.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// withoutRestart is an object without what a restart leaves in it.
func withoutRestart(o kubectl.Object) kubectl.Object {
	if o.At("spec", "template", "metadata", "annotations", restartedAt) == nil {
		return o
	}
	text, err := json.Marshal(o)
	if err != nil {
		return o // can't happen: it held what JSON held
	}
	copied, err := kubectl.Decode(text)
	if err != nil {
		return o
	}
	metadata, _ := copied.At("spec", "template", "metadata").(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if delete(annotations, restartedAt); len(annotations) == 0 {
		delete(metadata, "annotations")
	}
	return copied
}

// fingerprint identifies what an object asks for.
func fingerprint(o kubectl.Object) string {
	content := map[string]any{}
	for key, value := range withoutRestart(o) {
		if key == "status" {
			continue
		}
		m, isMap := value.(map[string]any)
		if !isMap {
			content[key] = value
			continue
		}
		kept := map[string]any{}
		for field, v := range m {
			if path := "/" + key + "/" + field; !slices.Contains(volatile, path) && !slices.Contains(assigned, path) {
				kept[field] = v
			}
		}
		content[key] = kept
	}
	text, err := json.Marshal(content)
	if err != nil {
		return err.Error() // can't happen: it held what JSON held
	}
	sum := sha256.Sum256(text)
	return "content " + hex.EncodeToString(sum[:8])
}
