package reports

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

func words[T ~string](all ...T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, word := range all {
		s.Enum = append(s.Enum, string(word))
	}
	return s
}

// strictSchema is that of a Report, made from its types. It refuses fields that it
// does not name.
func strictSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	number := func() *jsonschema.Schema { return &jsonschema.Schema{Types: []string{"number", "null"}} }
	schema, err := jsonschema.For[Report](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[snapshot.Values]():    {Types: []string{"array", "null"}, Items: number(), Description: "one value per trial; null where a trial gave none"},
		reflect.TypeFor[stats.Histogram]():    {Type: "string", Description: "an HDR histogram of nanoseconds, V2 compressed, in base64"},
		reflect.TypeFor[time.Time]():          {Type: "string", Format: "date-time"},
		reflect.TypeFor[json.RawMessage]():    {Description: "the rich result of a measuring package"},
		reflect.TypeFor[unit.Base]():          words(unit.Count, unit.Ratio, unit.Seconds, unit.Bytes, unit.BytesPerSecond, unit.PerSecond, unit.RequestsPerSecond, unit.Cores),
		reflect.TypeFor[snapshot.Direction](): words(snapshot.Lower, snapshot.Higher, snapshot.Neutral),
		reflect.TypeFor[Word]():               words(Pass, Fail, Unsure, Broken, RollbackFailed, Interrupted),
		reflect.TypeFor[Change]():             words(Improved, Equivalent, Regressed, Inconclusive, Changed),
		reflect.TypeFor[ConditionKind]():      words(Objective, Gate, Guardrail, Control, Return),
		reflect.TypeFor[Design]():             words(Uncontrolled, Controlled, Interleaved, ABA),
		reflect.TypeFor[ItemState]():          words(ItemDone, ItemFailed, ItemUnknown),
		reflect.TypeFor[Known]():              words(Measured, Commanded, Signed),
		reflect.TypeFor[loadgen.Validity]():   words(loadgen.Valid, loadgen.TargetLimited, loadgen.GeneratorLimited, loadgen.Inconclusive, loadgen.Invalid),
		reflect.TypeFor[scaling.Status]():     words(scaling.Pending, scaling.Applied, scaling.Failed, scaling.Skipped, scaling.RolledBack, scaling.Unverified),
	}})
	if err != nil {
		t.Fatal(err)
	}
	walk(schema, nullable)
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "report.json of scaleproof"
	schema.Description = fmt.Sprintf("Version %d. Quantities are in base units: seconds, bytes, requests per second, ratios. A version may gain fields.", SchemaVersion)
	schema.Properties["schema_version"] = &jsonschema.Schema{Const: jsonschema.Ptr[any](SchemaVersion)}
	return schema
}

// walk calls visit for a schema and all within it.
func walk(s *jsonschema.Schema, visit func(*jsonschema.Schema)) {
	if s == nil {
		return
	}
	visit(s)
	walk(s.Items, visit)
	walk(s.AdditionalProperties, visit)
	for _, property := range s.Properties {
		walk(property, visit)
	}
}

// isClosed reports whether a schema refuses fields that it does not name.
func isClosed(s *jsonschema.Schema) bool {
	return s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil
}

// open lets a schema take fields that a later release adds.
func open(s *jsonschema.Schema) {
	if isClosed(s) {
		s.AdditionalProperties = nil
	}
}

// nullable lets a map be null, as one is that was never made.
func nullable(s *jsonschema.Schema) {
	if s.Type == "object" && s.AdditionalProperties != nil && !isClosed(s) {
		s.Type, s.Types = "", []string{"object", "null"}
	}
}

func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	schema := strictSchema(t)
	walk(schema, open)
	text, err := json.MarshalIndent(schema, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("report.schema.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != string(Schema) {
		t.Error("report.schema.json differs from the types: go test ./reports -update writes it")
	}
}

func TestReportsFitTheirSchema(t *testing.T) {
	published := &jsonschema.Schema{}
	if err := json.Unmarshal(Schema, published); err != nil {
		t.Fatal(err)
	}
	for name, schema := range map[string]*jsonschema.Schema{"published": published, "strict": strictSchema(t)} {
		resolved, err := schema.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		partial := fixture(t)
		partial.After, partial.Comparison, partial.Action = nil, Comparison{}, nil
		for kind, r := range map[string]*Report{"whole": fixture(t), "partial": partial, "of an hour": hourly(t), "empty": {SchemaVersion: SchemaVersion, Verdict: newVerdict(Pass, "", nil)}} {
			var document any
			if err := json.Unmarshal(written(t, WriteJSON, r), &document); err != nil {
				t.Fatal(err)
			}
			if err := resolved.Validate(document); err != nil {
				t.Errorf("%s report, %s schema: %v", kind, name, err)
			}
		}
		for kind, text := range map[string]string{
			"another version": `{"schema_version": 2}`, "no report": `{}`, "a list": `[]`,
		} {
			var document any
			if err := json.Unmarshal([]byte(text), &document); err != nil {
				t.Fatal(err)
			}
			if err := resolved.Validate(document); err == nil {
				t.Errorf("%s fits the %s schema", kind, name)
			}
		}
	}
}
