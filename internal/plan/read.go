package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"scaleproof/dbbench"
	"scaleproof/internal/invalid"
	"scaleproof/internal/redact"
)

// An Error is what is wrong with a plan file.
type Error struct {
	Path     string
	Problems []Problem
}

// A Problem is one fault. Line and Column count from 1; they are 0 where the
// fault has no place, as with a section that is missing.
type Problem struct {
	Line, Column int
	Message      string
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		if p.Line > 0 {
			fmt.Fprintf(&b, "%s:%d:%d: %s", e.Path, p.Line, p.Column, p.Message)
		} else {
			fmt.Fprintf(&b, "%s: %s", e.Path, p.Message)
		}
	}
	return b.String()
}

// ReadFile reads the plan at path. See Read.
func ReadFile(path string, lookup func(string) (string, bool)) (*Plan, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{path, []Problem{{Message: fmt.Sprintf("reading the plan: %v", err)}}}
	}
	return Read(path, data, lookup)
}

// Read decodes a plan, strictly: an unknown key, a wrong unit, a variable that
// lookup does not have and whatever the sections find invalid is an error with
// its line and column. Its error is an *Error.
//
// ${NAME} in a value is replaced by lookup's value of NAME, ${NAME:-text} by
// text where there is none, and $${ is a plain ${. Files that the plan names are
// relative to its folder; a suite that is built in is no file.
func Read(path string, data []byte, lookup func(string) (string, bool)) (*Plan, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, &Error{path, []Problem{positioned(err)}}
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, &Error{path, []Problem{{Message: "a plan is one YAML document; scaleproof init writes one to start from"}}}
	}
	body := file.Docs[0].Body
	p := &Plan{Path: path, Source: string(data)}
	sum := sha256.Sum256(data)
	p.Hash = hex.EncodeToString(sum[:])
	p.StepsHash = stepsHash(body)
	secrets, problems := expand(body, lookup)
	if len(problems) > 0 {
		return nil, &Error{path, problems}
	}
	p.Secrets = secrets
	if err := invalid.YAML(func() error { return yaml.NodeToValue(body, p, yaml.Strict()) }); err != nil {
		return nil, &Error{path, masked(secrets, positioned(err))}
	}
	if problems := fractions(body, reflect.TypeFor[Plan]()); len(problems) > 0 {
		return nil, &Error{path, problems}
	}
	for _, node := range p.Environment.Postgres.All() {
		secrets.AddDSN(node.DSN)
	}
	if p.Shard != nil {
		secrets.AddDSN(p.Shard.SourceDSN)
	}
	secrets.AddDSN(p.Environment.Prometheus.URL)
	if token := p.Environment.Prometheus.Token; token != "" {
		secrets.Add(token)
	}
	p.resolvePaths(filepath.Dir(path))
	p.longNames()
	p.workersImages()
	if err := p.validate(); err != nil {
		return nil, &Error{path, masked(secrets, locate(file, err)...)}
	}
	return p, nil
}

// workersImages gives loads that pods make the cluster's image where they name none.
func (p *Plan) workersImages() {
	for i := range p.Measure.Load {
		if w := &p.Measure.Load[i].Workers; w.Count > 0 && !w.Local && w.Image == "" {
			w.Image = p.Environment.Kubernetes.Image
		}
	}
}

// stepsHash is the hash of the steps of a plan that is not expanded yet. Faults in
// them are told later.
func stepsHash(body ast.Node) string {
	all := map[string]any{}
	for _, section := range []string{"variables", "action"} {
		node := sectionOf(body, section)
		if node == nil {
			continue
		}
		for _, entry := range node.Values {
			key := entry.Key.String()
			if section == "action" && key != "steps" {
				continue
			}
			var value any
			if invalid.YAML(func() error { return yaml.NodeToValue(entry.Value, &value) }) != nil {
				value = entry.Value.String()
			}
			all[section+"."+key] = value
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		text = []byte(body.String()) // a key that is no text, which no step has
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// positioned takes the place out of an error of the YAML library.
func positioned(err error) Problem {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return Problem{Message: err.Error()}
	}
	at := e.GetToken().Position
	return Problem{at.Line, at.Column, inWords(e)}
}

// inWords is what the YAML library says, without the names of Go's types.
func inWords(e yaml.Error) string {
	var wrong *yaml.TypeError
	if errors.As(e, &wrong) {
		return fmt.Sprintf("must be %s, and is %s", kindWords(wrong.DstType), kindWords(wrong.SrcType))
	}
	if message := e.GetMessage(); strings.Contains(message, "character '\t'") {
		return "there is a tab: YAML is indented by spaces"
	}
	return e.GetMessage()
}

// kindWords says which kind of value of YAML a type of Go stands for.
func kindWords(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Map, reflect.Struct:
		return "a section of keys with values"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Pointer:
		return kindWords(t.Elem())
	case reflect.String:
		return "text"
	}
	return "a whole number"
}

// locate finds the places of the fields in which validate found faults.
func locate(file *ast.File, err error) []Problem {
	var problems []Problem
	for _, fault := range invalid.All(err) {
		var field *invalid.FieldError
		if !errors.As(fault, &field) {
			problems = append(problems, Problem{Message: fault.Error()})
			continue
		}
		line, column := placeOf(file, field.Path)
		problems = append(problems, Problem{line, column, field.Error()})
	}
	return problems
}

// masked takes the secrets out of problems, which quote what is wrong.
func masked(secrets *redact.Secrets, problems ...Problem) []Problem {
	for i := range problems {
		problems[i].Message = secrets.String(problems[i].Message)
	}
	return problems
}

// placeOf returns the place of a path, or of the nearest part of it that is in
// the file.
func placeOf(file *ast.File, path string) (line, column int) {
	for path != "" {
		if p, err := yaml.PathString("$." + path); err == nil {
			if node, err := p.FilterFile(file); err == nil && node != nil {
				at := node.GetToken().Position
				return at.Line, at.Column
			}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0, 0
}

// resolvePaths makes the files that the plan names relative to its folder.
func (p *Plan) resolvePaths(dir string) {
	resolve := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	resolve(&p.Calibration)
	for i := range p.Measure.Load {
		load := &p.Measure.Load[i]
		for _, path := range []*string{&load.TargetsFile, &load.Feeder, &load.BodyFile, &load.UnixSocket, &load.TLS.CA, &load.TLS.Cert, &load.TLS.Key} {
			resolve(path)
		}
	}
	if database := p.Measure.Database; database != nil && !slices.Contains(dbbench.BuiltInSuites(), database.Suite) {
		resolve(&database.Suite)
	}
	if p.Shard != nil {
		resolve(&p.Shard.Routing.File)
	}
	for _, step := range p.Action.Steps {
		if step.Apply != nil {
			resolve(&step.Apply.File)
		}
	}
}

// SourceOf returns a section of the plan as it was written, with its key, and
// nothing where the plan has none. What the environment put into it is not there.
func (p *Plan) SourceOf(section string) string {
	var text strings.Builder
	inside := false
	for line := range strings.Lines(p.Source) {
		if line[0] != ' ' && line[0] != '\t' && line[0] != '#' && line[0] != '\n' && line[0] != '\r' {
			inside = strings.HasPrefix(line, section+":")
		}
		if inside {
			text.WriteString(line)
		}
	}
	if section := text.String(); section != "" {
		return strings.TrimRight(section, "\n") + "\n"
	}
	return ""
}
