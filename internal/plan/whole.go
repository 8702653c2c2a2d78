package plan

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// fractions returns the fractions that stand where t has whole numbers: the YAML
// library would cut them, so that 2.5 replicas were 2.
func fractions(body ast.Node, t reflect.Type) []Problem {
	f := &fractionFinder{of: t}
	ast.Walk(f, body)
	return f.problems
}

type fractionFinder struct {
	of       reflect.Type
	problems []Problem
}

// Visit implements ast.Visitor.
func (f *fractionFinder) Visit(node ast.Node) ast.Visitor {
	n, ok := node.(*ast.FloatNode)
	if !ok || n.Value == math.Trunc(n.Value) {
		return f
	}
	switch kindAt(f.of, strings.TrimPrefix(n.GetPath(), "$")) {
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64:
		at := n.GetToken().Position
		f.problems = append(f.problems, Problem{at.Line, at.Column, fmt.Sprintf("must be a whole number, and is %s", n.GetToken().Value)})
	}
	return f
}

// kindAt returns the kind of what a YAML path, such as .measure.load[0].connections,
// leads to from t; Invalid where t says nothing of it, or it decodes itself.
func kindAt(t reflect.Type, path string) reflect.Kind {
	for t = pointed(t); path != ""; t = pointed(t) {
		segment := path[:1+strings.IndexAny(path[1:]+".", ".[")]
		path = path[len(segment):]
		switch {
		case segment[0] == '[' && t.Kind() == reflect.Slice, segment[0] == '.' && t.Kind() == reflect.Map:
			t = t.Elem()
		case segment[0] == '.' && t.Kind() == reflect.Struct:
			field, ok := fieldOf(t, segment[1:])
			if !ok {
				return reflect.Invalid
			}
			t = field
		default:
			return reflect.Invalid
		}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return reflect.Invalid // such as a duration
	}
	return t.Kind()
}

// pointed returns what t points to, t where that is no pointer.
func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fieldOf returns the type of the field that YAML calls name.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if tag == name {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}
