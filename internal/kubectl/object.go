package kubectl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// An Object is an object of Kubernetes as it stands in JSON, with numbers as
// json.Number.
type Object map[string]any

// Decode reads an object.
func Decode(data []byte) (Object, error) {
	var o Object
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&o); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	return o, nil
}

// At returns what is at a path of keys, or nil.
func (o Object) At(path ...string) any {
	var value any = map[string]any(o)
	for _, key := range path {
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[key]
	}
	return value
}

// Text returns the string at a path, or nothing.
func (o Object) Text(path ...string) string {
	text, _ := o.At(path...).(string)
	return text
}

// Int returns the number at a path; ok is false where there is none.
func (o Object) Int(path ...string) (n int64, ok bool) {
	number, isNumber := o.At(path...).(json.Number)
	if !isNumber {
		return 0, false
	}
	n, err := number.Int64()
	return n, err == nil
}

// List returns the objects in the list at a path.
func (o Object) List(path ...string) []Object {
	items, _ := o.At(path...).([]any)
	var objects []Object
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			objects = append(objects, m)
		}
	}
	return objects
}

// Kind, Name, UID and Version are what their names say; Version is the resource
// version.
func (o Object) Kind() string    { return o.Text("kind") }
func (o Object) Name() string    { return o.Text("metadata", "name") }
func (o Object) UID() string     { return o.Text("metadata", "uid") }
func (o Object) Version() string { return o.Text("metadata", "resourceVersion") }

// Target names the object as kubectl does: kind/name, the kind in lower case and
// with its group where it is of none that comes with Kubernetes.
func (o Object) Target() string {
	kind := strings.ToLower(o.Kind())
	group, _, hasGroup := strings.Cut(o.Text("apiVersion"), "/")
	if hasGroup && strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") {
		kind += "." + group
	}
	return kind + "/" + o.Name()
}

// Condition returns the status and the message of a condition of that type, and
// nothing where the object has none.
func (o Object) Condition(kind string) (status, reason, message string) {
	for _, c := range o.List("status", "conditions") {
		if c.Text("type") == kind {
			return c.Text("status"), c.Text("reason"), c.Text("message")
		}
	}
	return "", "", ""
}
