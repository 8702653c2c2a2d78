package dbbench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// DecodePlan reads the output of EXPLAIN (FORMAT JSON) of Postgres 13 to 18: an
// array of one plan, as Postgres gives it, or the plan alone, as auto_explain
// logs it. What it does not know is kept in Extra.
func DecodePlan(data []byte) (*Plan, error) {
	plan, err := decodePlan(bytes.TrimSpace(data))
	if err != nil {
		return nil, fmt.Errorf("decoding a plan: %w", err)
	}
	return plan, nil
}

func decodePlan(data []byte) (*Plan, error) {
	if len(data) > 0 && data[0] == '[' {
		var plans []json.RawMessage
		if err := json.Unmarshal(data, &plans); err != nil {
			return nil, err
		}
		if len(plans) != 1 {
			return nil, fmt.Errorf("there are %d, not one", len(plans))
		}
		data = plans[0]
	}
	fields, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	root, ok := fields["Plan"].(map[string]any)
	if !ok {
		return nil, errors.New(`it has no "Plan": was it made by EXPLAIN (FORMAT JSON)?`)
	}
	delete(fields, "Plan")
	plan := &Plan{Raw: data}
	if err := fill(reflect.ValueOf(plan).Elem(), fields); err != nil {
		return nil, err
	}
	plan.Root, err = decodeNode(root, 0)
	return plan, err
}

// decodeObject reads one JSON object. Its numbers keep all of their digits.
func decodeObject(data []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return fields, nil
}

// maxDepth bounds the recursion on hostile input; real plans are far shallower.
const maxDepth = 1000

func decodeNode(fields map[string]any, depth int) (*PlanNode, error) {
	if depth > maxDepth {
		return nil, errors.New("it is nested too deeply")
	}
	_, analyzed := fields["Actual Rows"]
	children, err := objects(fields["Plans"])
	if err != nil {
		return nil, fmt.Errorf(`the entry "Plans" %w`, err)
	}
	delete(fields, "Plans")
	n := &PlanNode{Analyzed: analyzed}
	if err := fill(reflect.ValueOf(n).Elem(), fields); err != nil {
		return nil, err
	}
	if n.Type == "" {
		return nil, errors.New(`a node has no "Node Type"`)
	}
	n.Condition = strings.Join(n.Conditions.texts(), " AND ")
	n.Blocks = n.Buffers.Touched()
	n.TempBlocks = n.Buffers.TempRead + n.Buffers.TempWritten
	n.RowsRemoved = n.ByFilter + n.ByJoinFilter + n.ByIndexRecheck + n.ByConflictFilter
	for _, child := range children {
		node, err := decodeNode(child, depth+1)
		if err != nil {
			return nil, err
		}
		n.Children = append(n.Children, node)
	}
	return n, nil
}

// texts returns the conditions that there are, in a fixed order.
func (c Conditions) texts() []string {
	var texts []string
	for _, text := range []string{c.IndexCond, c.RecheckCond, c.TIDCond, c.HashCond, c.MergeCond, c.JoinFilter, c.Filter, c.OneTimeFilter, c.RunCondition, c.ConflictFilter} {
		if text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// objects reads a list of JSON objects; absent is none.
func objects(value any) ([]map[string]any, error) {
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New("is no list")
	}
	var all []map[string]any
	for _, entry := range list {
		fields, ok := entry.(map[string]any)
		if !ok {
			return nil, errors.New("has an entry that is no object")
		}
		all = append(all, fields)
	}
	return all, nil
}

// fill sets the fields of a struct from a JSON object by their tags "plan", in
// which | parts the names of several versions, and removes them from the object.
// A struct without a tag takes its fields from the same object. What is left
// goes into the field Extra, if there is one.
func fill(target reflect.Value, fields map[string]any) error {
	extra, err := fillTagged(target, fields)
	if err == nil && extra.IsValid() && len(fields) > 0 {
		extra.Set(reflect.ValueOf(fields))
	}
	return err
}

func fillTagged(target reflect.Value, fields map[string]any) (extra reflect.Value, err error) {
	for i := range target.NumField() {
		kind, field := target.Type().Field(i), target.Field(i)
		names, tagged := kind.Tag.Lookup("plan")
		switch {
		case tagged:
			for name := range strings.SplitSeq(names, "|") {
				value, ok := fields[name]
				if !ok {
					continue
				}
				delete(fields, name)
				if err := assign(field, value); err != nil {
					return extra, fmt.Errorf("%s: %w", name, err)
				}
			}
		case kind.Name == "Extra":
			extra = field
		case field.Kind() == reflect.Struct:
			if _, err := fillTagged(field, fields); err != nil {
				return extra, err
			}
		}
	}
	return extra, nil
}

// assign sets a field from a JSON value. A number or a text that a version
// gives for the other is taken; anything else of the wrong kind is an error.
func assign(field reflect.Value, value any) error {
	switch field.Kind() {
	case reflect.Pointer:
		field.Set(reflect.New(field.Type().Elem()))
		return assign(field.Elem(), value)
	case reflect.Struct:
		return assignStruct(field, value)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			list = []any{value} // one key of several may stand alone
		}
		field.Set(reflect.MakeSlice(field.Type(), len(list), len(list)))
		for i, entry := range list {
			if err := assign(field.Index(i), entry); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		return assignMap(field, value)
	}
	return assignScalar(field, value)
}

func assignStruct(field reflect.Value, value any) error {
	fields, ok := value.(map[string]any)
	if number, alone := value.(json.Number); alone {
		fields, ok = map[string]any{"Total": number}, true // an older version gave no parts
	}
	if !ok {
		return errors.New("is no object")
	}
	return fill(field, fields)
}

func assignMap(field reflect.Value, value any) error {
	fields, ok := value.(map[string]any)
	if !ok {
		return errors.New("is no object")
	}
	field.Set(reflect.MakeMapWithSize(field.Type(), len(fields)))
	for name, entry := range fields {
		element := reflect.New(field.Type().Elem()).Elem()
		if err := assign(element, entry); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		field.SetMapIndex(reflect.ValueOf(name), element)
	}
	return nil
}

func assignScalar(field reflect.Value, value any) error {
	number, isNumber := value.(json.Number)
	text, isText := value.(string)
	truth, isBool := value.(bool)
	switch {
	case field.Kind() == reflect.Float64 && isNumber:
		parsed, err := number.Float64()
		if err != nil {
			return fmt.Errorf("%s is out of range", number)
		}
		field.SetFloat(parsed)
	case field.Kind() == reflect.String && isText:
		field.SetString(text)
	case field.Kind() == reflect.String && isNumber:
		field.SetString(number.String())
	case field.Kind() == reflect.Bool && isBool:
		field.SetBool(truth)
	default:
		return fmt.Errorf("is %T, which can't be a %s", value, field.Kind())
	}
	return nil
}
