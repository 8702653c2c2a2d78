package scaling

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"scaleproof/internal/kubectl"
)

// CheckState is what a check came to.
type CheckState string

// The states of a check.
const (
	CheckOK      CheckState = "ok"
	CheckWarning CheckState = "warning" // the plan can run
	CheckFault   CheckState = "fault"   // it, or its rollback, would fail
)

// A Check is one thing that a plan needs.
type Check struct {
	Name   string     `json:"name"`
	State  CheckState `json:"state"`
	Detail string     `json:"detail"`
	Mend   string     `json:"mend,omitempty"` // what to do, where there is something
}

// LeaseName is the name of the lock that a run takes in its namespace.
const LeaseName = "scaleproof"

// CheckKubernetes looks at everything that steps and their rollback need of a
// cluster, and changes nothing: versions, every verb, the targets, who owns what
// would be written, and metrics-server.
func CheckKubernetes(ctx context.Context, client *kubectl.Client, steps []Step) []Check {
	versions, err := client.Versions(ctx)
	if err != nil {
		return []Check{{"cluster", CheckFault, err.Error(), "mend environment.kubernetes.context, kubectl, or the way to the cluster"}}
	}
	checks := []Check{checkSkew(versions)}
	checks = append(checks, checkRights(ctx, client, rightsOf(steps))...)
	for _, c := range checkRights(ctx, client, measuringRights()) {
		if c.State == CheckFault {
			c.State = CheckWarning // the plan runs without
		}
		checks = append(checks, c)
	}
	for _, target := range targetsOf(steps) {
		checks = append(checks, checkTarget(ctx, client, target)...)
	}
	return append(checks, checkMetrics(ctx, client))
}

func checkSkew(v kubectl.Versions) Check {
	c := Check{Name: "versions", State: CheckOK, Detail: fmt.Sprintf("kubectl %s, server %s", v.Client, v.Server)}
	if v.Skew > 1 {
		c.State, c.Mend = CheckWarning, "use a kubectl within one minor version of the server"
	}
	return c
}

// leases is the resource of the lock.
const leases = "leases.coordination.k8s.io"

// A right is a verb on a resource, as kubectl auth can-i takes them.
type right struct {
	verb, resource string
	why            string
}

// rightsOf returns what steps and their rollback need, each once.
func rightsOf(steps []Step) []right {
	var all []right
	add := func(why, resource string, verbs ...string) {
		for _, verb := range verbs {
			if !slices.ContainsFunc(all, func(r right) bool { return r.verb == verb && r.resource == resource }) {
				all = append(all, right{verb, resource, why})
			}
		}
	}
	for _, s := range steps {
		if s.OnKubernetes() {
			s.rights(add)
			add("the lock of the namespace", leases, "get", "create", "update", "delete")
		}
	}
	return all
}

// measuringRights are those that the state of the namespace in a snapshot needs.
func measuringRights() []right {
	var all []right
	for _, resource := range []string{"pods", "deployments.apps", horizontal, "endpointslices.discovery.k8s.io", "events", "pods.metrics.k8s.io"} {
		all = append(all, right{"list", resource, "the state in the report"})
	}
	return all
}

// rights tells what a step and its rollback need.
func (s Step) rights(add func(why, resource string, verbs ...string)) {
	why := "step " + s.Title()
	workload := func(target string) {
		add(why, target, "get", "patch")
		s.rolled(add, target)
	}
	switch { // wait, notify, pause and others need nothing of Kubernetes
	case s.Scale != nil:
		workload(s.Scale.Target)
		add(why, horizontal, "list")
		if s.Scale.Owner == Adjust {
			add(why, horizontal, "get", "patch")
		}
	case s.Resources != nil:
		workload(s.Resources.Target)
		add(why, vertical, "list")
		if s.Resources.Owner == Adjust {
			add(why, vertical, "get", "patch")
		}
	case s.Patch != nil:
		add(why, s.Patch.Target, "get", "patch")
		s.owned(add, s.Patch.Target)
	case s.Restart != nil:
		workload(s.Restart.Target)
	case s.Wait != nil:
		add(why, s.Wait.Target, "get")
		add(why, "pods", "list")
	case s.ConfigMap != nil:
		s.made(add, "configmap/"+s.ConfigMap.Name)
	case s.Apply != nil:
		objects, _ := readManifest(s.Apply.File) // the plan was valid
		for _, o := range objects {
			s.made(add, o.Target())
			s.owned(add, o.Target())
			if o.Kind() == horizontalKind { // whose replicas are brought back
				workload(scaledBy(o))
			}
		}
	}
}

// rolled tells what a step needs whose rollback waits for the pods of a workload.
func (s Step) rolled(add func(why, resource string, verbs ...string), target string) {
	why := "step " + s.Title()
	add(why+" and its rollback", "pods", "list")
	if workloadKind(target) == "statefulset" {
		add("the rollback of "+why, "pods", "delete")
	}
}

// owned tells what a step needs besides that may write what autoscalers own.
func (s Step) owned(add func(why, resource string, verbs ...string), target string) {
	if workloadKind(target) == "" {
		return
	}
	s.rolled(add, target)
	add("step "+s.Title(), horizontal, "list")
	add("step "+s.Title(), vertical, "list")
}

// workloadKind returns deployment, statefulset or daemonset of a target, by whatever
// name kubectl takes them, and nothing of others.
func workloadKind(target string) string {
	name, _, _ := strings.Cut(target, "/")
	name, _, _ = strings.Cut(name, ".") // the group
	for kind, names := range map[string][]string{
		"deployment": {"deployments", "deploy"}, "statefulset": {"statefulsets", "sts"}, "daemonset": {"daemonsets", "ds"},
	} {
		if name == kind || slices.Contains(names, name) {
			return kind
		}
	}
	return ""
}

// made tells what a step needs that may make an object.
func (s Step) made(add func(why, resource string, verbs ...string), target string) {
	kind, _, _ := strings.Cut(target, "/")
	add("step "+s.Title(), target, "get", "patch")
	add("step "+s.Title(), kind, "create") // a right to create can't be of one name
	add("the rollback of step "+s.Title(), target, "delete")
}

// CheckUnproven asks for the verbs that steps and their rollback need beyond those
// that their previews have tried: a preview reads and, by a dry run, writes. It
// changes nothing.
func CheckUnproven(ctx context.Context, client *kubectl.Client, steps []Step, previews []PreviewStep) []Check {
	var proven []Step
	for i, p := range previews {
		// Others than these try nothing: a restart and a wait have no dry run.
		if s := steps[i]; p.Err == nil && s.OnKubernetes() && s.Restart == nil && s.Wait == nil {
			proven = append(proven, s)
		}
	}
	tried := rightsOf(proven)
	rights := slices.DeleteFunc(rightsOf(steps), func(r right) bool {
		switch r.verb {
		case "delete", "update", "list": // a list is read only where fields are owned, or pods waited for
			return false
		}
		return r.resource == leases || slices.ContainsFunc(tried, func(t right) bool { return t.verb == r.verb && t.resource == r.resource })
	})
	return checkRights(ctx, client, rights)
}

// CheckRouting asks for the verbs that a routing in a ConfigMap needs.
func CheckRouting(ctx context.Context, client *kubectl.Client, name string) []Check {
	const why = "the routing of the move"
	return checkRights(ctx, client, []right{
		{"get", "configmap/" + name, why}, {"update", "configmap/" + name, why}, {"create", "configmap", why}, // a right to create can't be of one name
	})
}

// rightsAtOnce is how many rights are asked for at the same time.
const rightsAtOnce = 4

func checkRights(ctx context.Context, client *kubectl.Client, rights []right) []Check {
	checks := make([]Check, len(rights))
	var wait sync.WaitGroup
	free := make(chan struct{}, rightsAtOnce)
	for i, r := range rights {
		wait.Go(func() {
			free <- struct{}{}
			checks[i] = checkRight(ctx, client, r)
			<-free
		})
	}
	wait.Wait()
	return checks
}

func checkRight(ctx context.Context, client *kubectl.Client, r right) Check {
	c := Check{Name: "right to " + r.verb + " " + r.resource, State: CheckOK, Detail: "for " + r.why}
	can, err := client.Can(ctx, r.verb, r.resource, "")
	switch {
	case err != nil:
		c.State, c.Detail = CheckFault, err.Error()
	case !can && r.resource == vertical && unknownKind(ctx, client, vertical):
		c.Detail = "the cluster has none"
	case !can:
		c.State = CheckFault
		c.Detail = "not given, and needed for " + r.why
		c.Mend = fmt.Sprintf("give the user of context %s the verb %s on %s in namespace %s", client.Context, r.verb, r.resource, client.Namespace)
	}
	return c
}

// unknownKind reports whether a cluster does not know a kind.
func unknownKind(ctx context.Context, client *kubectl.Client, kind string) bool {
	_, err := client.List(ctx, kind, "")
	return kubectl.ReasonOf(err) == kubectl.NoKind
}

// A written is a target and what a step writes of it.
type written struct {
	target              string
	replicas, resources bool
	owner               Owner
}

// targetsOf returns the objects that must be there before the first step.
func targetsOf(steps []Step) []written {
	var all []written
	for _, s := range steps {
		switch {
		case s.Scale != nil:
			all = append(all, written{s.Scale.Target, true, false, s.Scale.Owner})
		case s.Resources != nil:
			all = append(all, written{s.Resources.Target, false, true, s.Resources.Owner})
		case s.Restart != nil:
			all = append(all, written{target: s.Restart.Target})
		}
	}
	return all
}

// checkTarget looks whether a target is there, and who else writes it.
func checkTarget(ctx context.Context, client *kubectl.Client, w written) []Check {
	c := Check{Name: w.target, State: CheckOK}
	live, err := client.Get(ctx, w.target)
	if err != nil {
		c.State, c.Detail, c.Mend = CheckFault, err.Error(), "mend the target in the plan, or make it in an earlier step"
		return []Check{c}
	}
	c.Detail = "is there"
	if err := checkConverged(ctx, client, w.target); err != nil {
		c.State, c.Detail, c.Mend = CheckWarning, "has not converged: "+err.Error(), "mend it before the action: what is broken before looks broken after"
	}
	checks := []Check{c}
	for _, o := range []struct {
		writes bool
		find   func(context.Context, *kubectl.Client, kubectl.Object) (kubectl.Object, error)
		what   string
	}{{w.replicas, horizontalOwner, "replicas"}, {w.resources, verticalOwner, "resources"}} {
		if o.writes {
			owner, err := o.find(ctx, client, live)
			checks = append(checks, checkOwner(w, o.what, owner, err))
		}
	}
	return checks
}

func checkOwner(w written, what string, owner kubectl.Object, err error) Check {
	c := Check{Name: "owner of the " + what + " of " + w.target, State: CheckOK, Detail: "nobody but the plan"}
	switch {
	case err != nil:
		c.State, c.Detail = CheckFault, err.Error()
	case owner != nil && w.owner == Adjust:
		c.Detail = owner.Target() + ", whose bounds the step adjusts"
	case owner != nil:
		c.State, c.Detail, c.Mend = CheckFault, owner.Target(), "say owner: adjust in the step, or take the autoscaler away"
	}
	return c
}

// checkMetrics asks metrics-server, which autoscalers and kubectl top live on.
func checkMetrics(ctx context.Context, client *kubectl.Client) Check {
	c := Check{Name: "metrics-server", State: CheckOK, Detail: "answers"}
	_, err := client.Raw(ctx, "/apis/metrics.k8s.io/v1beta1/namespaces/"+client.Namespace+"/pods")
	if err != nil {
		c.State, c.Detail, c.Mend = CheckWarning, err.Error(), "install or mend metrics-server: without it no autoscaler acts and no usage is measured"
	}
	return c
}
