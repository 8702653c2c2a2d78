package plan

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scaleproof/examples"
	"scaleproof/reports"
)

// minimal is a valid plan to which tests add a section.
const minimal = `version: 1
name: replicas
environment:
  postgres:
    primary: {dsn: "${DATABASE_URL}"}
measure:
  load:
    - name: api
      targets: ["GET http://127.0.0.1:8000/health"]
      rate: 100/s
      duration: 10s
`

// onKubernetes is a plan with a cluster and one step.
func onKubernetes(step string) string {
	return strings.Replace(minimal, "environment:", "environment:\n  kubernetes: {context: a, namespace: b}", 1) +
		"action: {steps: [{" + step + "}]}\n"
}

func environ(name string) (string, bool) {
	value, ok := map[string]string{
		"DATABASE_URL":   "postgres://app:sentinel-password@127.0.0.1:5432/brownie",
		"SHARD_2_URL":    "postgres://app:sentinel-password@127.0.0.1:5432/shard_2",
		"API_TOKEN":      "sentinel-token",
		"DEMO_URL":       "http://127.0.0.1:8000",
		"DEMO_ADMIN_URL": "http://127.0.0.1:8001",
	}[name]
	return value, ok
}

func TestReadAPlan(t *testing.T) {
	p, err := Read("dir/plan.yaml", []byte(minimal+`
action:
  load_through: api
  steps:
    - name: index
      sql: {up: [CREATE INDEX i ON incidents (organization_id)], down: [DROP INDEX i]}
objectives:
  - load.api.response.p99 < 80ms
guardrails: [load.api.errors < 1%]
rollback: {when: always, timeout: 90s}
`), environ)
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := p.Load("api"); !ok || l.Rate != 100 || l.Duration.Std() != 10*time.Second {
		t.Errorf("load %+v", l)
	}
	if dsn := p.Environment.Postgres.All()[0].DSN; !strings.Contains(dsn, "sentinel-password") {
		t.Errorf("the DSN %q was not expanded", dsn)
	}
	if p.Rollback.When != Always || p.Rollback.Timeout.Std() != 90*time.Second || len(p.Objectives) != 1 {
		t.Errorf("rollback %+v, objectives %v", p.Rollback, p.Objectives)
	}
	if strings.Contains(p.Source, "sentinel") {
		t.Error("the source holds what the environment put in")
	}
	if text := p.Secrets.String("error for sentinel-password"); strings.Contains(text, "sentinel") {
		t.Errorf("the DSN's password is not a secret: %q", text)
	}
}

// A trial ends with its duration, its stages, or its search.
func TestLoadsThatEndByThemselves(t *testing.T) {
	for _, load := range []string{
		"stages: [{rate: 100/s, duration: 1m}, {rate: 500/s, ramp: 30s, duration: 2m}]",
		"find_capacity: true\n      slo: {p99: 80ms}",
		"rate: 50/s\n      find_capacity: true\n      slo: {p99: 80ms}",
	} {
		text := strings.Replace(minimal, "rate: 100/s\n      duration: 10s", load, 1)
		if !strings.Contains(load, "find") || strings.Contains(load, "rate:") {
			text += "action: {load_through: api}\n"
		}
		if _, err := Read("plan.yaml", []byte(text), environ); err != nil {
			t.Errorf("%s: %v", load, err)
		}
	}
}

func TestWorkersAreANumberOrMore(t *testing.T) {
	for text, count := range map[string]int{
		"workers: {count: 3, local: true}": 3,
		"rate: 10/s\n      find_capacity: true\n      slo: {p99: 1s}\n      workers: {count: 40, local: true}": 40,
		"find_capacity: true\n      slo: {p99: 1s}\n      workers: {count: 40, local: true}":                   40,
	} {
		p, err := Read("plan.yaml", []byte(strings.Replace(minimal, "rate: 100/s", text, 1)), environ)
		if err != nil || p.Measure.Load[0].Workers.Count != count {
			t.Errorf("%s: %v", text, err)
		}
	}
	withImage := strings.Replace(onKubernetes("restart: {target: deployment/a}"), "namespace: b", "namespace: b, image: r/scaleproof:1", 1)
	p, err := Read("plan.yaml", []byte(strings.Replace(withImage, "rate: 100/s", "workers: 3", 1)), environ)
	if err != nil || p.Measure.Load[0].Workers.Count != 3 || p.Measure.Load[0].Workers.Image != "r/scaleproof:1" {
		t.Errorf("the cluster's image: %v", err)
	}
	for text, want := range map[string]string{"workers: 3": "image: is missing", "workers: {cuont: 3}": `unknown field "cuont"`, "workers: many": "plan.yaml:10:"} {
		if _, err := Read("plan.yaml", []byte(strings.Replace(minimal, "rate: 100/s", text, 1)), environ); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "plan.yaml:10:") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFaultsNameTheirPlace(t *testing.T) {
	for name, c := range map[string]struct {
		text, place, message string
	}{
		"unknown key":         {minimal + "speed: 9\n", ":12:1:", `unknown field "speed"`},
		"unknown nested key":  {strings.Replace(minimal, "rate:", "rat:", 1), ":10:7:", `unknown field "rat"`},
		"a fraction":          {minimal + "  trials: 2.5\n", ":12:11:", "must be a whole number, and is 2.5"},
		"of replicas":         {minimal + "action: {steps: [{scale: {target: deployment/app, replicas: 2.5}}]}\n", ":12:61:", "must be a whole number, and is 2.5"},
		"of connections":      {strings.Replace(minimal, "rate: 100/s", "connections: 1.5", 1), ":10:20:", "must be a whole number, and is 1.5"},
		"text for a number":   {minimal + "  trials: six\n", ":12:11:", "must be a whole number, and is text"},
		"keys for text":       {strings.Replace(minimal, "name: replicas", "name: {a: b}", 1), ":2:", "must be text, and is a section of keys with values"},
		"a list for text":     {strings.Replace(minimal, "name: replicas", "name: [a]", 1), ":2:", "must be text, and is a list"},
		"text for a list":     {minimal + "gates: fast\n", ":12:", ""},
		"a tab":               {strings.Replace(minimal, "  load:", "\tload:", 1), ":7:1:", "indented by spaces"},
		"wrong unit":          {strings.Replace(minimal, "10s", "10 parsecs", 1), ":11:17:", `"10 parsecs"`},
		"missing variable":    {strings.Replace(minimal, "DATABASE_URL", "NO_SUCH", 1), ":5:20:", "NO_SUCH"},
		"unfinished variable": {strings.Replace(minimal, "${DATABASE_URL}", "${", 1), ":5:20:", "$${"},
		"version":             {strings.Replace(minimal, "version: 1", "version: 7", 1), ":1:10:", "must be 1"},
		"name":                {strings.Replace(minimal, "name: replicas", "name: a/b", 1), ":2:7:", "a/b"},
		"no name":             {strings.Replace(minimal, "name: replicas\n", "", 1), "", "name: must be"},
		"syntax":              {minimal + "action: {\n", ":", "flow mapping"},
		"condition":           {minimal + "objectives:\n  - load.api.response.p99 < fast\n", ":13:29:", "fast"},
		"unknown load":        {minimal + "objectives:\n  - load.web.errors < 1%\n", ":13:5:", `named "web"`},
		"unknown family":      {minimal + "gates:\n  - {metric: cpu}\n", ":13:14:", "names begin with"},
		"no end":              {strings.Replace(minimal, "      duration: 10s\n", "", 1), ":8:11:", "a trial must end"},
		"stages of nothing":   {strings.Replace(minimal, "rate: 100/s\n      duration: 10s", "stages: [{rate: 0, duration: 10s}]", 1), ":10:", "no stage has a rate"},
		"a search through it": {strings.Replace(minimal, "rate: 100/s\n      duration: 10s", "find_capacity: true\n      slo: {p99: 1s}", 1) + "action: {load_through: api}\n", ":12:24:", "searches for its rate"},
		"no such load":        {minimal + "action: {load_through: web}\n", ":12:24:", `named "web"`},
		"unknown node":        {minimal + "action: {steps: [{name: x, sql: {node: far, up: [SELECT 1], down: [SELECT 1]}}]}\n", ":12:", `no node "far", but primary`},
		"a wait's node":       {minimal + "action: {steps: [{name: x, wait: {sql: {node: far, query: SELECT 1, expect: \"1\"}}}]}\n", ":12:", `no node "far", but primary`},
		"a wait's URL":        {minimal + "action: {steps: [{name: x, wait: {http: {url: \"localhost:8000/health\"}}}]}\n", ":12:47:", "http or https"},
		"a secret argument":   {minimal + "checklist: [{id: team, evidence: {command: [check, \"${API_TOKEN}\"]}}]\n", ":12:", "holds a secret"},
		"rollback":            {minimal + "rollback: {when: perhaps}\n", ":12:18:", "perhaps"},
		"unknown figure":      {minimal + "objectives:\n  - load.api.response.p98 < 80ms\n", ":13:5:", "did you mean load.api.response.p90?"},
		"unknown gate":        {minimal + "gates: [{metric: load.api.eror}]\n", ":12:18:", "did you mean load.api.errors?"},
		"a quantile too many": {minimal + "gates: [{metric: load.api.quickness}]\n", ":12:18:", "of load.api there is capacity, errors, response.mean"},
		"no unit":             {minimal + "objectives: [load.api.response.p99 < 80]\n", ":12:14:", "is measured in seconds"},
		"another unit":        {minimal + "objectives: [load.api.errors < 80ms]\n", ":12:14:", "is measured in ratio"},
		"no capacity":         {minimal + "objectives: [load.api.capacity >= 1.8x]\n", ":12:14:", "find_capacity"},
		"unknown host":        {minimal + "  resources: {host: true}\nobjectives: [host.cpus < 80%]\n", ":13:14:", "did you mean host.cpu?"},
		"unknown case figure": {minimal + "  database: {queries: [{name: q, sql: SELECT 1}]}\nobjectives: [db.q.block <= 1x]\n", ":13:14:", "did you mean db.q.blocks?"},
		"unknown case":        {minimal + "  database: {queries: [{name: users, sql: SELECT 1}]}\nobjectives: [db.user.blocks <= 1x]\n", ":13:14:", "no query gives the case user; did you mean db.users?"},
		"unknown case's gate": {minimal + "  database: {queries: [{name: users, sql: SELECT 1}]}\ngates: [{metric: db.user.plan}]\n", ":13:18:", "did you mean db.users?"},
		"not drawn":           {minimal + "  database: {queries: [{name: u, sql: SELECT 1, organizations: a.b}]}\ngates: [{metric: db.u}]\n", ":13:18:", "no query gives the case u: of db there is u-..."},
		"of a suite":          {minimal + "  database: {suite: runbook}\ngates: [{metric: db.user_by_mail-any}]\n", ":13:18:", "no query gives the case user_by_mail-any; did you mean db.user_by_email-...?"},
		"a case's verdict":    {minimal + "  database: {queries: [{name: q, sql: SELECT 1}]}\nobjectives: [db.q.result <= 1x]\n", ":13:14:", "there is none of that name"},
		"guardrail's figure":  {minimal + "action: {load_through: api}\nguardrails: [load.api.service.p50 < 1s]\n", ":13:14:", "can't watch load.api.service.p50; did you mean load.api.service.p99?"},
		"guardrail's unit":    {minimal + "action: {load_through: api}\nguardrails: [load.api.response.p99 < 80]\n", ":13:14:", "is measured in seconds"},
		"relative guardrail":  {minimal + "action: {load_through: api}\nguardrails: [load.api.errors < 2x]\n", ":13:14:", "absolute"},
		"two kinds":           {onKubernetes("scale: {target: deployment/a, replicas: 1}, restart: {target: deployment/a}"), ":13:18:", "does 2 things (scale, restart)"},
		"no cluster":          {strings.Replace(onKubernetes("restart: {target: deployment/a}"), ", namespace: b", "", 1), ":13:18:", "lacks a context or a namespace"},
		"target":              {onKubernetes("scale: {target: app, replicas: 1}"), ":13:35:", "kind/name"},
		"target's kind":       {onKubernetes("scale: {target: service/a, replicas: 1}"), ":13:35:", "deployment, statefulset"},
		"no replicas":         {onKubernetes("scale: {target: deployment/a}"), ":13:26:", "replicas: is missing"},
		"replicas":            {onKubernetes("scale: {target: deployment/a, replicas: many}"), ":13:59:", ""},
		"owner":               {onKubernetes("scale: {target: deployment/a, replicas: 1, owner: ignore}"), ":13:69:", "refuse or adjust"},
		"quantity":            {onKubernetes("resources: {target: deployment/a, container: a, limits: {memory: much}}"), ":13:84:", "no quantity"},
		"no container":        {onKubernetes("resources: {target: deployment/a, limits: {memory: 1Gi}}"), ":13:30:", "container: is missing"},
		"manifest":            {onKubernetes("apply: {file: none.yaml}"), ":13:33:", "no such file"},
		"patch's form":        {onKubernetes("patch: {target: hpa/a, type: json, patch: {a: b}}"), ":13:61:", "list of operations"},
		"secret":              {onKubernetes("patch: {target: secret/a, patch: {a: b}}"), ":13:35:", "is a Secret"},
		"wait for":            {onKubernetes("wait: {for: luck, target: deployment/a}"), ":13:31:", "must be converged"},
		"wait's target":       {onKubernetes("wait: {for: converged, target: a}"), ":13:50:", "kind/name"},
		"checklist":           {minimal + "checklist: [{id: a, text: b, evidence: {step: none}}]\n", ":12:47:", `"none"`},
		"two evidences":       {minimal + "checklist: [{id: a, text: b, evidence: {link: \"http://a/\", signed: me}}]\n", ":12:", "of one kind"},
		"a query's node":      {minimal + "  database:\n    queries:\n      - name: q\n        sql: SELECT 1\n        node: shard-2\n", ":16:15:", `no node "shard-2", but primary`},
		"its node afterwards": {minimal + "  database:\n    queries: [{name: q, sql: SELECT 1, node: {before: primary, after: x}}]\n", ":13:", `queries[0].node.after: environment.postgres has no node "x", but primary`},
		"one moment alone":    {minimal + "  database:\n    queries: [{name: q, sql: SELECT 1, node: {after: primary}}]\n", ":13:46:", "names a node for one moment alone"},
		"a moment's name":     {minimal + "  database:\n    queries: [{name: q, sql: SELECT 1, node: {befor: primary}}]\n", ":13:47:", `unknown field "befor"`},
		"the suite's node":    {minimal + "  database: {suite: runbook, node: x}\n", ":12:36:", `no node "x"`},
		"a load of two nodes": {strings.Replace(minimal, "    primary: {dsn: \"${DATABASE_URL}\"}\n", "    primary: {dsn: \"${DATABASE_URL}\"}\n    nodes: [{name: s, dsn: \"${DATABASE_URL}\"}]\n", 1) + "  database: {queries: [{name: q, sql: SELECT 1}, {name: r, sql: SELECT 1, node: s}], load: {clients: 1}}\n", ":13:", "load: its clients have one node, and the query q is on the primary, r on s"},
		"no such suite":       {minimal + "  database: {suite: runbok}\n", ":12:21:", "no suite of that name is built in (runbook)"},
		"a query twice":       {minimal + "  database: {suite: runbook, queries: [{name: org_incidents, sql: SELECT 1}]}\n", ":12:21:", `"org_incidents" stands twice`},
		"no prometheus":       {minimal + "checklist: [{id: a, text: b, evidence: {rule: Slow}}]\n", ":12:", "environment.prometheus"},
		"link":                {minimal + "checklist: [{id: a, text: b, evidence: {link: wiki}}]\n", ":12:", "http or https"},
		"an item twice":       {minimal + "checklist: [{id: team}, {id: team}]\n", ":12:", "stands twice"},
		"design":              {minimal + "  design: a-a\n", ":12:11:", "before-after or a-b-a"},
		"A-B-A, no action":    {minimal + "  design: a-b-a\n", ":12:11:", "needs an action"},
		"never rehearse":      {minimal + "rollback: {when: never, rehearse: true}\n", ":12:", "rollback.when is never"},
		"a gated control":     {minimal + "gates: [{metric: load.api.errors}]\ncontrols: [{metric: load.api.errors}]\n", ":13:", "is a gate"},
		"unknown control":     {minimal + "controls: [{metric: cpu}]\n", ":12:21:", "names begin with"},
		"empty":               {"", "", "one YAML document"},
		"two documents":       {minimal + "---\n" + minimal, "", "one YAML document"},
		"a list":              {"- 1\n", ":", ""},
	} {
		_, err := Read("plan.yaml", []byte(c.text), environ)
		var fault *Error
		if !errors.As(err, &fault) {
			t.Errorf("%s: error %v is no *Error", name, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "plan.yaml"+c.place) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: error %q, want place %q and %q", name, err, c.place, c.message)
		}
		if strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

// A suite that is built in is found from wherever the plan lies, and a file beside
// the plan.
func TestSuitesOfAPlan(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.sql"), []byte("-- name: one\nSELECT 1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for suite, queries := range map[string]int{"runbook": 6, "own.sql": 1} {
		p, err := Read(filepath.Join(dir, "plan.yaml"), []byte(minimal+"  database: {suite: "+suite+"}\n"), environ)
		if err != nil {
			t.Errorf("%s: %v", suite, err)
			continue
		}
		if all, err := p.Measure.Database.AllQueries(); err != nil || len(all) != queries {
			t.Errorf("%s: %d queries, %v", suite, len(all), err)
		}
	}
}

func TestSeveralFaultsAreSaidAtOnce(t *testing.T) {
	_, err := Read("plan.yaml", []byte("version: 2\nname: a b\n"), environ)
	var fault *Error
	if !errors.As(err, &fault) || len(fault.Problems) != 2 {
		t.Errorf("error %v, want two problems", err)
	}
}

func TestVariablesCannotChangeTheShape(t *testing.T) {
	lookup := func(string) (string, bool) { return "x\"}\nobjectives: [a < 1]", true }
	p, err := Read("plan.yaml", []byte(minimal+"hypothesis: \"${ANY} and $${ANY}\"\n"), lookup)
	if err != nil {
		t.Fatal(err)
	}
	if want := "x\"}\nobjectives: [a < 1] and ${ANY}"; p.Hypothesis != want || len(p.Objectives) != 0 {
		t.Errorf("hypothesis %q, want %q; objectives %v", p.Hypothesis, want, p.Objectives)
	}
}

// What a plan's faults quote may have come from the environment.
func TestFaultsTellNoSecrets(t *testing.T) {
	for _, text := range []string{
		strings.Replace(minimal, "name: replicas", `name: "a/${API_TOKEN}"`, 1),
		strings.Replace(minimal, "rate: 100/s", `rate: "${API_TOKEN}"`, 1),
		minimal + `objectives: ["load.api.errors < ${API_TOKEN}"]` + "\n",
	} {
		_, err := Read("plan.yaml", []byte(text), environ)
		if err == nil || strings.Contains(err.Error(), "sentinel") || !strings.Contains(err.Error(), "xxxxx") {
			t.Errorf("error %v", err)
		}
	}
}

func TestSecretsAreKnownByTheirNames(t *testing.T) {
	for name, secret := range map[string]bool{
		"DB_PASSWORD": true, "DB_PASS": true, "PASS": true, "DB_PWD": true, "KEY_PASSPHRASE": true, "API_KEY": true, "APIKEY": true, "SLACK_WEBHOOK_URL": true,
		"REPLICAS": false, "BYPASS": false, "PASSES": false, "PWD": false, "MONKEY": false,
	} {
		text := minimal + `action: {steps: [{exec: {command: [show], env: {X: "${` + name + `}"}, undo: ["true"]}}]}` + "\n"
		p, err := Read("plan.yaml", []byte(text), func(n string) (string, bool) {
			if n == name {
				return "sentinel-value", true
			}
			return environ(n)
		})
		if err != nil {
			t.Fatal(err)
		}
		if masked := p.Secrets.String("it is sentinel-value") == "it is xxxxx"; masked != secret {
			t.Errorf("%s: a secret: %t, want %t", name, masked, secret)
		}
	}
}

func TestVariablesOfThePlan(t *testing.T) {
	text := strings.Replace(minimal, "environment:", `variables:
  REPLICAS: 5
  TARGET: deployment/${NAME:-app}
  API_TOKEN: from-the-plan
environment:
  kubernetes: {context: a, namespace: b}`, 1) + `
action:
  steps:
    - name: scale
      scale:
        target: ${TARGET}
        replicas: ${REPLICAS}
    - http: {url: "http://x/${API_TOKEN}", undo_body: "${REPLICAS}"}
`
	p, err := Read("plan.yaml", []byte(text), environ)
	if err != nil {
		t.Fatal(err)
	}
	// The environment has the last word.
	if s := p.Action.Steps; s[0].Scale.Target != "deployment/app" || *s[0].Scale.Replicas != 5 || s[1].HTTP.URL != "http://x/sentinel-token" || s[1].HTTP.UndoBody != "5" {
		t.Errorf("steps %+v %+v", s[0].Scale, s[1].HTTP)
	}
	if _, err := Read("plan.yaml", []byte(strings.Replace(text, "REPLICAS: 5", "RE-PLICAS: 5", 1)), environ); err == nil || !strings.Contains(err.Error(), "REPLICAS") {
		t.Errorf("error %v", err)
	}
	if _, err := Read("plan.yaml", []byte(strings.Replace(minimal, "environment:", "variables: {RE-PLICAS: 5}\nenvironment:", 1)), environ); err == nil || !strings.Contains(err.Error(), "no name of a variable") {
		t.Errorf("error %v", err)
	}
}

// A variable is what is written, and is expanded once.
func TestVariablesAreWhatIsWritten(t *testing.T) {
	text := minimal + `
variables:
  TAG: 1.10
  MODE: 0644
  TAGGED: !!str 2.50
  NOTHING:
  PLAIN: "$${HOME}"
  TAKEN: "${TEMPLATE}"
action:
  steps:
    - exec: {command: [deploy, "${TAG}", "${MODE}", "${TAGGED}", "${NOTHING}", "${PLAIN}", "${TAKEN}"], undo: ["true"]}
`
	p, err := Read("plan.yaml", []byte(text), func(name string) (string, bool) {
		if name == "TEMPLATE" {
			return "${x} ${", true
		}
		return environ(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"deploy", "1.10", "0644", "2.50", "", "${HOME}", "${x} ${"}
	if got := p.Action.Steps[0].Exec.Command; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := p.Variables["PLAIN"]; got != "${HOME}" {
		t.Errorf("PLAIN is %q", got)
	}
}

func TestTheHashOfTheSteps(t *testing.T) {
	hash := func(text string) string {
		t.Helper()
		p, err := Read("plan.yaml", []byte("version: 1\nname: x\n"+text), environ)
		if err != nil {
			t.Fatal(err)
		}
		return p.StepsHash
	}
	const steps = `variables: {N: "5"}
action: {steps: [{name: a, exec: {command: [echo, "${N}"], undo: ["true"]}}]}
`
	one := hash(steps)
	for text, same := range map[string]bool{
		"# a remark\n" + steps + "rollback: {when: never}\n":                                                                    true,
		strings.Replace(steps, "command: [echo, \"${N}\"], undo: [\"true\"]", "undo: [\"true\"], command: [echo, \"${N}\"]", 1): true,
		strings.Replace(steps, "true", "false", 1):                                                                              false,
		strings.Replace(steps, "5", "6", 1):                                                                                     false,
	} {
		if got := hash(text); (got == one) != same {
			t.Errorf("%s: the hash is %s, that of the first %s", text, got, one)
		}
	}
}

func TestDefaults(t *testing.T) {
	p, err := Read("plan.yaml", []byte(minimal+"hypothesis: ${NONE:-by default} ${DEMO_URL:-other}\n"), environ)
	if err != nil {
		t.Fatal(err)
	}
	if p.Hypothesis != "by default http://127.0.0.1:8000" {
		t.Errorf("hypothesis %q", p.Hypothesis)
	}
}

func TestFilesAreRelativeToThePlan(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.yaml")
	text := strings.Replace(minimal, `targets: ["GET http://127.0.0.1:8000/health"]`, "targets_file: targets.txt", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "targets.txt"), []byte("GET http://127.0.0.1:8000/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := ReadFile(path, environ)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Measure.Load[0].TargetsFile; got != filepath.Join(dir, "targets.txt") {
		t.Errorf("targets_file %q", got)
	}
	if _, err := ReadFile(filepath.Join(dir, "none.yaml"), environ); err == nil {
		t.Error("read a file that is not there")
	}
}

func TestEveryExampleIsValid(t *testing.T) {
	entries, err := examples.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".yaml" {
			continue
		}
		text, err := examples.Files.ReadFile(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		// The manifests of a plan are read from the disk, beside it.
		p, err := Read(filepath.Join("..", "..", "examples", entry.Name()), text, environ)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		trials := cmp.Or(p.Measure.Trials, 6)
		if why := (reports.Criteria{Gates: p.Gates, Objectives: p.Objectives}).Powerless(trials, trials); why != "" {
			t.Errorf("%s: %s", entry.Name(), why)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(minimal)
	f.Add("version: 1\nname: ${X}\n")
	f.Add("measure:\n load:\n    - targets: !00\n0") // at which the YAML library panics
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Read("plan.yaml", []byte(text), environ); err != nil {
			var fault *Error
			if !errors.As(err, &fault) || len(fault.Problems) == 0 {
				t.Errorf("error %v is no *Error with a problem", err)
			}
		}
	})
}

// A response time may be named without its clock, wherever a metric is named.
func TestShortNamesOfResponseTimes(t *testing.T) {
	p, err := Read("plan.yaml", []byte(minimal+"action: {load_through: api}\nobjectives: [load.api.p99 < 80ms]\nguardrails: [load.api.max < 1s]\ngates: [{metric: load.api.p50}]\ncontrols: [{metric: load.api.mean}]\n"), environ)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{p.Objectives[0].Metric, p.Guardrails[0].Metric, p.Gates[0].Metric, p.Controls[0].Metric}
	if want := []string{"load.api.response.p99", "load.api.response.max", "load.api.response.p50", "load.api.response.mean"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
