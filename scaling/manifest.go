package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"scaleproof/internal/invalid"
	"scaleproof/internal/kubectl"
)

// readManifest returns the objects of a file of YAML or JSON documents.
func readManifest(path string) ([]kubectl.Object, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", path, err)
	}
	var objects []kubectl.Object
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		var content map[string]any
		if err := invalid.YAML(func() error { return yaml.NodeToValue(doc.Body, &content) }); err != nil {
			return nil, fmt.Errorf("reading document %d of the manifest %s: %w", i+1, path, err)
		}
		o, err := objectOf(content)
		if err != nil {
			return nil, fmt.Errorf("document %d of the manifest %s: %w", i+1, path, err)
		}
		objects = append(objects, o)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("the manifest %s has no object", path)
	}
	return objects, nil
}

func objectOf(content map[string]any) (kubectl.Object, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	o, err := kubectl.Decode(text)
	switch {
	case err != nil:
		return nil, err
	case o.Kind() == "" || o.Text("apiVersion") == "" || o.Name() == "":
		return nil, errors.New("it lacks an apiVersion, a kind or a metadata.name")
	case o.Kind() == "Secret":
		return nil, errors.New("it is a Secret, whose prior values would stand in the journal: apply it by an exec step")
	case strings.HasSuffix(o.Kind(), "List"):
		return nil, errors.New("it is a list: write each object as a document of its own")
	}
	return o, nil
}

func (a Apply) validate() error {
	if a.File == "" {
		return invalid.Field("file", "is missing: a manifest")
	}
	if _, err := readManifest(a.File); err != nil {
		return invalid.Field("file", "%v", err)
	}
	return nil
}

func (a Apply) change(env Environment) change {
	c := &kubeChange{client: env.Kubernetes, what: "apply " + a.File}
	c.plan = func(context.Context) ([]edit, error) {
		objects, err := readManifest(a.File)
		if err != nil {
			return nil, err
		}
		var edits []edit
		for _, o := range objects {
			if namespace := o.Text("metadata", "namespace"); namespace != "" && namespace != c.client.Namespace {
				return nil, fmt.Errorf("%s of %s is in the namespace %s, and the plan pins %s", o.Target(), a.File, namespace, c.client.Namespace)
			}
			edits = append(edits, edit{
				target: o.Target(), creates: true,
				write: func(ctx context.Context, live kubectl.Object, dryRun bool) (kubectl.Object, error) {
					return applied(ctx, c.client, withVersion(o, live, dryRun), a.Force, dryRun)
				},
			})
		}
		return edits, nil
	}
	return c
}

// applied applies an object. Fields that a person manages by kubectl, as the
// plan's author does, are taken over; those of a controller or a deployment tool
// are a conflict, unless force.
func applied(ctx context.Context, client *kubectl.Client, o kubectl.Object, force, dryRun bool) (kubectl.Object, error) {
	made, err := client.Apply(ctx, o, force, dryRun)
	managers := kubectl.Managers(err)
	if len(managers) == 0 || slices.ContainsFunc(managers, func(m string) bool { return !strings.HasPrefix(m, "kubectl") }) {
		return made, err
	}
	return client.Apply(ctx, o, true, dryRun)
}

// withVersion is a copy of an object that the API server refuses as a Conflict
// where the live one has changed since it was read.
func withVersion(o, live kubectl.Object, dryRun bool) kubectl.Object {
	if live == nil || dryRun {
		return o
	}
	text, _ := json.Marshal(o) // it came from JSON
	guarded, _ := kubectl.Decode(text)
	guarded["metadata"].(map[string]any)["resourceVersion"] = live.Version()
	return guarded
}

func (m ConfigMap) validate() error {
	var faults []error
	if validTarget("configmap/"+m.Name) != nil {
		faults = append(faults, invalid.Field("name", "is no name of a ConfigMap: %q", m.Name))
	}
	if len(m.Data) == 0 {
		faults = append(faults, invalid.Field("data", "is missing: keys and their values"))
	}
	return errors.Join(faults...)
}

func (m ConfigMap) change(env Environment) change {
	target := "configmap/" + m.Name
	c := &kubeChange{client: env.Kubernetes, what: fmt.Sprintf("set %d keys of %s", len(m.Data), target)}
	c.plan = func(context.Context) ([]edit, error) {
		keys := patched(c.client, target, kubectl.MergePatch, map[string]any{"data": m.Data})
		return []edit{{
			target: target, creates: true,
			write: func(ctx context.Context, live kubectl.Object, dryRun bool) (kubectl.Object, error) {
				if live != nil {
					return keys.write(ctx, live, dryRun)
				}
				return c.client.Create(ctx, kubectl.Object{
					"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": m.Name}, "data": m.Data,
				}, dryRun)
			},
		}}, nil
	}
	return c
}

func (p Patch) validate() error {
	faults := []error{validTarget(p.Target)}
	switch form := p.form(); form {
	case kubectl.StrategicPatch, kubectl.MergePatch:
		if m, ok := p.Patch.(map[string]any); !ok || len(m) == 0 {
			faults = append(faults, invalid.Field("patch", "must be a map for type %s", form))
		}
	case kubectl.JSONPatch:
		if l, ok := p.Patch.([]any); !ok || len(l) == 0 {
			faults = append(faults, invalid.Field("patch", "must be a list of operations for type json"))
		}
	default:
		faults = append(faults, invalid.Field("type", "must be strategic, merge or json, and is %q", p.Type))
	}
	if strings.HasPrefix(p.Target, "secret/") || strings.HasPrefix(p.Target, "secrets/") {
		faults = append(faults, invalid.Field("target", "is a Secret, whose prior values would stand in the journal: patch it by an exec step"))
	}
	return errors.Join(faults...)
}

func (p Patch) form() kubectl.PatchType {
	return kubectl.PatchType(orDefault(p.Type, string(kubectl.StrategicPatch)))
}

func (p Patch) change(env Environment) change {
	c := &kubeChange{client: env.Kubernetes}
	text, err := json.Marshal(p.Patch)
	c.what = fmt.Sprintf("patch %s by %s", p.Target, text)
	c.plan = func(context.Context) ([]edit, error) {
		if err != nil {
			return nil, fmt.Errorf("writing the patch of %s: %w", p.Target, err)
		}
		if m, ok := p.Patch.(map[string]any); ok {
			return []edit{patched(c.client, p.Target, p.form(), m)}, nil
		}
		return []edit{{target: p.Target, write: p.writeOperations(c.client)}}, nil
	}
	return c
}

// writeOperations sends a JSON Patch, guarded by one more operation.
func (p Patch) writeOperations(client *kubectl.Client) func(context.Context, kubectl.Object, bool) (kubectl.Object, error) {
	return func(ctx context.Context, live kubectl.Object, dryRun bool) (kubectl.Object, error) {
		operations, _ := p.Patch.([]any)
		if !dryRun {
			operations = append([]any{operation{"replace", "/metadata/resourceVersion", live.Version()}}, operations...)
		}
		text, err := json.Marshal(operations)
		if err != nil {
			return nil, fmt.Errorf("writing the patch of %s: %w", p.Target, err)
		}
		return client.Patch(ctx, p.Target, kubectl.JSONPatch, text, dryRun)
	}
}
