package scaling

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scaleproof/internal/kubectl"
)

// What an object asks for does not change by a restart, nor by being bound.
func TestTheFingerprintOfWhatWasMade(t *testing.T) {
	const made = `{"kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"metadata":{"labels":{"a":"b"}},"spec":{"x":1}}}}`
	for text, same := range map[string]bool{
		`{"kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"metadata":{"labels":{"a":"b"},"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}},"spec":{"x":1}}}}`: true,
		`{"kind":"Deployment","metadata":{"name":"a"},"spec":{"volumeName":"pv","template":{"metadata":{"labels":{"a":"b"}},"spec":{"x":1}}}}`:                                         true,
		`{"kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"metadata":{"labels":{"a":"b"},"annotations":{"other":"x"}},"spec":{"x":1}}}}`:                               false,
		`{"kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"metadata":{"labels":{"a":"b"}},"spec":{"x":2}}}}`:                                                           false,
	} {
		o := object(t, text)
		if got := fingerprint(o) == fingerprint(object(t, made)); got != same {
			t.Errorf("%s is as what was made: %v", text, got)
		}
	}
}

func object(t *testing.T, text string) kubectl.Object {
	t.Helper()
	o, err := kubectl.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestChangedPaths(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		want          []string
	}{
		"equal":          {`{"spec":{"a":1}}`, `{"spec":{"a":1}}`, nil},
		"volatile":       {`{"metadata":{"resourceVersion":"1","generation":1},"status":{"a":1}}`, `{"metadata":{"resourceVersion":"2","generation":2,"managedFields":[]},"status":{}}`, nil},
		"value":          {`{"spec":{"a":1,"b":2}}`, `{"spec":{"a":1,"b":3}}`, []string{"/spec/b"}},
		"gone and new":   {`{"spec":{"a":1}}`, `{"spec":{"b":{"c":1}}}`, []string{"/spec/a", "/spec/b"}},
		"named element":  {`{"c":[{"name":"x","i":1},{"name":"y"}]}`, `{"c":[{"name":"x","i":2},{"name":"y"}]}`, []string{"/c/[x]/i"}},
		"new element":    {`{"c":[{"name":"x"}]}`, `{"c":[{"name":"x"},{"name":"y"}]}`, []string{"/c/[y]"}},
		"other order":    {`{"c":[{"name":"x"},{"name":"y"}]}`, `{"c":[{"name":"y"},{"name":"x"}]}`, []string{"/c"}},
		"plain list":     {`{"c":[1,2]}`, `{"c":[1,3]}`, []string{"/c"}},
		"twice one name": {`{"c":[{"name":"x"},{"name":"x"}]}`, `{"c":[{"name":"x"}]}`, []string{"/c"}},
		"map to list":    {`{"c":{}}`, `{"c":[]}`, []string{"/c"}},
		"slash in a key": {`{"m":{"a/b~c":"1"}}`, `{"m":{"a/b~c":"2"}}`, []string{"/m/a~1b~0c"}},
	} {
		if got := changedPaths(object(t, c.before), object(t, c.after)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestMergeFields(t *testing.T) {
	state := func(a, b, c any) fieldState { return fieldState{"x/y": {"/a": a, "/b": b, "/c": c}} }
	want, conflicts := mergeFields(state(1, 1, nil), state(2, 2, 2), state(2, 1, 9))
	if diff := cmp.Diff(state(1, 1, 9), want); diff != "" {
		t.Error(diff)
	}
	if len(conflicts) != 1 || !strings.Contains(conflicts[0], "x/y /c from 2 to 9") || !strings.Contains(conflicts[0], "was absent before") {
		t.Errorf("conflicts %q", conflicts)
	}
}

// patchJSON is JSON Patch (RFC 6902), as far as restoringPatch goes.
func patchJSON(t *testing.T, o kubectl.Object, patch []byte) kubectl.Object {
	t.Helper()
	var operations []operation
	if err := json.Unmarshal(patch, &operations); err != nil {
		t.Fatal(err)
	}
	var root any = map[string]any(o)
	for _, op := range operations {
		root = patchAt(t, root, strings.Split(op.Path, "/")[1:], op)
	}
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return object(t, string(text))
}

func patchAt(t *testing.T, at any, path []string, op operation) any {
	t.Helper()
	key := strings.ReplaceAll(strings.ReplaceAll(path[0], "~1", "/"), "~0", "~")
	switch v := at.(type) {
	case map[string]any:
		_, there := v[key]
		if there == (op.Op == "add") && len(path) == 1 && op.Op == "add" || !there && op.Op != "add" {
			t.Fatalf("%s %s: there is %v", op.Op, op.Path, there)
		}
		switch {
		case len(path) > 1:
			v[key] = patchAt(t, v[key], path[1:], op)
		case op.Op == "remove":
			delete(v, key)
		default:
			v[key] = op.Value
		}
		return v
	case []any:
		if key == "-" {
			return append(v, op.Value)
		}
		i, err := strconv.Atoi(key)
		if err != nil || i >= len(v) {
			t.Fatalf("%s %s: no such element", op.Op, op.Path)
		}
		switch {
		case len(path) > 1:
			v[i] = patchAt(t, v[i], path[1:], op)
		case op.Op == "remove":
			return slices.Delete(v, i, i+1)
		default:
			v[i] = op.Value
		}
		return v
	}
	t.Fatalf("%s %s: %v has no children", op.Op, op.Path, at)
	return nil
}

// randomValue makes maps, named lists, plain lists and scalars.
func randomValue(r *rand.Rand, depth int) any {
	switch kind := r.IntN(4); {
	case depth == 0 || kind == 0:
		return json.Number(fmt.Sprint(r.IntN(3)))
	case kind == 1:
		return []any{json.Number(fmt.Sprint(r.IntN(3)))}
	case kind == 2:
		list := []any{}
		for _, name := range []string{"p", "q", "r"} {
			if r.IntN(3) > 0 {
				list = append(list, map[string]any{"name": name, "v": randomValue(r, depth-1)})
			}
		}
		return list
	}
	m := map[string]any{}
	for _, key := range []string{"a", "b/c", "d~e"} {
		if r.IntN(3) > 0 {
			m[key] = randomValue(r, depth-1)
		}
	}
	return m
}

// sorted puts lists of named elements in order: one that is put back comes last.
func sorted(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			v[key] = sorted(child)
		}
	case []any:
		for i := range v {
			v[i] = sorted(v[i])
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return value
}

// Whatever a step makes of an object, the patch from its captured fields goes
// back to what was there.
func TestRestoringPatchGoesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	changed := 0
	for range 3000 {
		make := func(version string) kubectl.Object {
			return kubectl.Object{"metadata": map[string]any{"resourceVersion": version}, "spec": map[string]any{"x": randomValue(r, 3), "y": randomValue(r, 3)}}
		}
		before, after := make("1"), make("2")
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{}
		for _, path := range changedPaths(before, after) {
			want[path] = fieldAt(before, path)
			changed++
		}
		state, err := parseState(fieldState{"x/y": want}.String()) // as it comes from a journal
		if err != nil {
			t.Fatal(err)
		}
		patch, err := restoringPatch(after, state["x/y"])
		if err != nil {
			t.Fatal(err)
		}
		var first []operation
		if err := json.Unmarshal(patch, &first); err != nil || first[0].Path != "/metadata/resourceVersion" || first[0].Value != "2" {
			t.Fatalf("patch %s is not guarded", patch)
		}
		restored := patchJSON(t, after, patch)
		if diff := cmp.Diff(sorted(object(t, string(text))["spec"]), sorted(restored["spec"])); diff != "" {
			t.Fatalf("from %s by %s:\n%s", text, patch, diff)
		}
	}
	if changed < 3000 {
		t.Errorf("only %d changes were tried", changed)
	}
}

func TestNodePortsAreTheServersChoice(t *testing.T) {
	ports := func(text string) any { return object(t, `{"ports":`+text+`}`)["ports"] }
	none, one, other := ports(`[{"port":80}]`), ports(`[{"port":80,"nodePort":30001}]`), ports(`[{"port":80,"nodePort":30002}]`)
	for name, c := range map[string]struct {
		path      string
		was, a, b any
		want      bool
	}{
		"assigned":       {"/spec/ports", none, one, other, true},
		"another port":   {"/spec/ports", none, one, ports(`[{"port":81,"nodePort":30001}]`), false},
		"chosen before":  {"/spec/ports", one, one, other, false},
		"of a name":      {"/spec/ports/[http]/nodePort", nil, json.Number("1"), json.Number("2"), true},
		"of a name, set": {"/spec/ports/[http]/nodePort", json.Number("3"), json.Number("1"), json.Number("2"), false},
		"not assigned":   {"/spec/ports/[http]/nodePort", nil, json.Number("1"), nil, false},
		"another field":  {"/spec/replicas", json.Number("3"), json.Number("1"), json.Number("2"), false},
	} {
		if got := alike(c.path, c.was, c.a, c.b); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
