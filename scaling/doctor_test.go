package scaling

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"scaleproof/internal/kubectl"
)

func TestTheRightsOfStepsAndTheirRollback(t *testing.T) {
	two := 2
	manifest := writeFile(t, "m.yaml", owned[1]+"\n---\n"+strings.Replace(owned[0], "Deployment", "StatefulSet", 1))
	rollback := []string{"list pods", "delete pods"}
	for name, c := range map[string]struct {
		step Step
		want []string
	}{
		"scale":     {Step{Scale: &Scale{Target: "statefulset/db", Replicas: &two}}, append(rollback, "patch statefulset/db", "list "+horizontal)},
		"resources": {Step{Resources: &Resources{Target: "deployment/app"}}, []string{"patch deployment/app", "list pods", "list " + vertical}},
		"adjust":    {Step{Resources: &Resources{Target: "deployment/app", Owner: Adjust}}, []string{"list " + vertical, "get " + vertical, "patch " + vertical}},
		"patch":     {Step{Patch: &Patch{Target: "sts/db"}}, append(rollback, "patch sts/db", "list "+horizontal, "list "+vertical)},
		"a service": {Step{Patch: &Patch{Target: "service/app"}}, []string{"get service/app", "patch service/app"}},
		"restart":   {Step{Restart: &Restart{Target: "deployment/app"}}, []string{"patch deployment/app", "list pods"}},
		"apply": {
			Step{Apply: &Apply{File: manifest}},
			append(rollback, "create statefulset", "delete statefulset/app", "patch horizontalpodautoscaler/app", "get deployment/app", "patch deployment/app", "list "+horizontal, "list "+vertical),
		},
	} {
		var got []string
		for _, r := range rightsOf([]Step{c.step}) {
			if r.resource != leases {
				got = append(got, r.verb+" "+r.resource)
			}
		}
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("%s: %q lacks %q", name, got, want)
			}
		}
		if name == "a service" && len(got) != len(c.want) {
			t.Errorf("%s: %q is too much", name, got)
		}
	}
}

// What a preview has tried is not asked for again, and what it can't try is.
func TestWhatAPreviewProves(t *testing.T) {
	two := 2
	steps := []Step{
		{Scale: &Scale{Target: "deployment/app", Replicas: &two}},
		{Restart: &Restart{Target: "deployment/web"}},
		{Resources: &Resources{Target: "deployment/app"}},
	}
	var mu sync.Mutex
	var asked []string
	client := &kubectl.Client{Context: "c", Namespace: "n", Run: func(_ context.Context, _ []byte, args []string) ([]byte, []byte, error) {
		question := strings.Join(args[3:], " ")
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, strings.TrimPrefix(question, "auth can-i "))
		switch { // this cluster knows no VerticalPodAutoscalers
		case strings.HasPrefix(question, "get "+vertical):
			return nil, []byte("error: the server doesn't have a resource type"), errors.New("exit status 1")
		case strings.Contains(question, vertical):
			return []byte("no"), []byte("Warning: the server doesn't have a resource type"), errors.New("exit status 1")
		}
		return []byte("yes"), nil, nil
	}}
	for _, c := range CheckUnproven(t.Context(), client, steps, make([]PreviewStep, len(steps))) {
		if c.State != CheckOK {
			t.Errorf("%+v", c)
		}
	}
	for question, want := range map[string]bool{
		"patch deployment/app": false, "patch deployment/web": true, "get deployment/web": true, "list pods": true,
		"list " + horizontal: true, "list " + vertical: true, "update " + leases: true,
	} {
		if slices.Contains(asked, question) != want {
			t.Errorf("%s was asked: %v, want %v (%q)", question, !want, want, asked)
		}
	}
}
