package dbbench

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"scaleproof/internal/invalid"
)

//go:embed suites/*.sql
var builtIn embed.FS

// A suiteFile is the YAML form of a suite.
type suiteFile struct {
	Queries []Query `yaml:"queries"`
}

// LoadSuite reads a suite of queries: one that is built in, by its name; a YAML
// file with the key queries; or an .sql file, in which each statement follows
// comments that name it and tell its parameters:
//
//	-- name: org_incidents
//	-- params: organizations of incidents.organization_id
//	-- weight: 10
//	-- node: shard-2
//	SELECT * FROM incidents WHERE organization_id = $1;
//
// The parameters are values ("-- params: 42, 'open'"), a query of which each row
// is a case ("-- params: from SELECT ..."), the organisations of a column, or
// generators ("-- params: random int(1, 1000)"). Faults name the file and the
// line.
func LoadSuite(path string) ([]Query, error) {
	queries, err := loadSuite(path)
	if err != nil {
		return nil, fmt.Errorf("reading the suite %s: %w", path, err)
	}
	return queries, nil
}

func loadSuite(path string) ([]Query, error) {
	if text, err := fs.ReadFile(builtIn, "suites/"+path+".sql"); err == nil {
		return parseSQL(string(text))
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w, and no suite of that name is built in (%s)", err, strings.Join(BuiltInSuites(), ", "))
	}
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".sql") {
		return parseSQL(string(data))
	}
	var suite suiteFile
	if err := invalid.YAML(func() error { return yaml.UnmarshalWithOptions(data, &suite, yaml.Strict()) }); err != nil {
		return nil, err
	}
	return suite.Queries, validateQueries(suite.Queries)
}

// BuiltInSuites returns the names of the suites that LoadSuite has without a
// file, sorted.
func BuiltInSuites() []string {
	files, _ := fs.Glob(builtIn, "suites/*.sql") // the pattern is well-formed
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "suites/"), ".sql")
	}
	slices.Sort(files)
	return files
}

// AllQueries returns the queries of the suite, which it reads, and then the others,
// each with the configuration's node where it names none.
func (c Config) AllQueries() ([]Query, error) {
	all := c.placed(c.Queries)
	if c.Suite == "" {
		return all, nil
	}
	suite, err := LoadSuite(c.Suite)
	if err != nil {
		return nil, err
	}
	all = append(c.placed(suite), all...)
	return all, errors.Join(validateQueries(all), c.checkLoad(all))
}

// queryName is the form of names that become parts of metric names.
var queryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

func validateQueries(queries []Query) error {
	var faults []error
	seen := map[string]bool{}
	for i, q := range queries {
		at := fmt.Sprintf("queries[%d]", i)
		if seen[q.Name] {
			faults = append(faults, invalid.Field(at+".name", "%q stands twice", q.Name))
		}
		seen[q.Name] = true
		faults = append(faults, q.validate(at)...)
	}
	return errors.Join(faults...)
}

func (q Query) validate(at string) []error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, invalid.Field(at+field, format, args...))
	}
	if !queryName.MatchString(q.Name) {
		fault(".name", "must be letters, digits, - and _, and is %q", q.Name)
	}
	if strings.TrimSpace(q.SQL) == "" {
		fault("", "%s has no sql", q.Name)
	}
	if q.Weight < 0 {
		fault(".weight", "is negative")
	}
	if err := q.Node.validate(); err != nil {
		faults = append(faults, invalid.In(at+".node", err))
	}
	if q.Organizations != "" && !organizationsForm.MatchString(q.Organizations) {
		fault(".organizations", "must be table.column or schema.table.column, perhaps with WHERE and a condition, and is %q", q.Organizations)
	}
	for i, text := range q.Random {
		if _, err := parseGenerator(text); err != nil {
			fault(fmt.Sprintf(".random[%d]", i), "%v", err)
		}
	}
	given := ""
	for _, source := range []struct {
		name string
		set  bool
	}{
		{"args", len(q.Args) > 0},
		{"args_from", q.ArgsFrom != ""},
		{"organizations", q.Organizations != ""},
		{"random", len(q.Random) > 0},
	} {
		if source.set && given != "" {
			fault("."+source.name, "stands beside %s: give one of them", given)
		}
		if source.set {
			given = source.name
		}
	}
	return faults
}

// Validate returns the faults of the configuration as joined
// *invalid.FieldErrors.
func (c Config) Validate() error {
	faults := []error{validateQueries(c.Queries)}
	if c.Suite == "" && len(c.Queries) == 0 {
		faults = append(faults, invalid.Field("queries", "are missing: give queries, or a suite"))
	}
	if c.Repetitions < 0 {
		faults = append(faults, invalid.Field("repetitions", "is negative"))
	}
	if c.Warmup < 0 {
		faults = append(faults, invalid.Field("warmup", "is negative"))
	}
	if c.Load != nil {
		faults = append(faults, invalid.In("load", c.Load.Validate()))
		if c.Suite == "" { // else AllQueries tells
			faults = append(faults, c.checkLoad(c.placed(c.Queries)))
		}
	}
	if err := c.Node.validate(); err != nil {
		faults = append(faults, invalid.In("node", err))
	}
	if !slices.Contains([]string{"", "both", "custom", "generic"}, c.Plans) {
		faults = append(faults, invalid.Field("plans", "must be custom, generic or both, and is %q", c.Plans))
	}
	if !slices.Contains([]string{"", "all", "none"}, c.Statistics) {
		faults = append(faults, invalid.Field("statistics", "must be all or none, and is %q", c.Statistics))
	}
	return errors.Join(faults...)
}
