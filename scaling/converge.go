package scaling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"scaleproof/internal/kubectl"
)

// isWorkload tells the kinds that run pods and converge.
func isWorkload(kind string) bool {
	return kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet"
}

// A notConverged says why a target is not as its specification says.
type notConverged string

func (e notConverged) Error() string { return string(e) }

// errNeverConverges is that a target is of a kind that does not.
var errNeverConverges = errors.New("nothing to wait for")

// hopeless reports whether an error is one that no later attempt mends.
func hopeless(err error) bool {
	switch kubectl.ReasonOf(err) {
	case kubectl.Forbidden, kubectl.Unauthorized, kubectl.Invalid, kubectl.NoKind, kubectl.NoContext, kubectl.NoKubectl:
		return true
	}
	return errors.Is(err, errNeverConverges)
}

// checkConverged says why a target has not converged: its controller has not
// seen the present generation, pods are not updated, ready or available, or pods
// are left over that should be gone. kubectl's own waits look at fewer of these.
func checkConverged(ctx context.Context, client *kubectl.Client, target string) error {
	o, err := client.Get(ctx, target)
	if err != nil {
		return err
	}
	generation, _ := o.Int("metadata", "generation")
	observed, _ := o.Int("status", "observedGeneration")
	if observed < generation {
		return notConverged(fmt.Sprintf("%s: generation %d is not yet observed (%d is)", target, generation, observed))
	}
	var fault string
	switch o.Kind() {
	case "Deployment":
		fault = countFault(o, "replicas", wantedReplicas(o), "updatedReplicas", "readyReplicas", "availableReplicas")
	case "StatefulSet":
		fault = statefulSetFault(o)
	case "DaemonSet":
		wanted, _ := o.Int("status", "desiredNumberScheduled")
		fault = countFault(o, "currentNumberScheduled", wanted, "updatedNumberScheduled", "numberReady", "numberAvailable")
	case horizontalKind:
		return autoscalerFault(target, o)
	default:
		return fmt.Errorf("%w: %s: convergence is known of Deployments, StatefulSets, DaemonSets and HorizontalPodAutoscalers", errNeverConverges, target)
	}
	return podFault(ctx, client, target, o, fault)
}

func wantedReplicas(o kubectl.Object) int64 {
	if n, ok := o.Int("spec", "replicas"); ok {
		return n
	}
	return 1
}

// countFault compares numbers of the status with the wanted one.
func countFault(o kubectl.Object, all string, wanted int64, fields ...string) string {
	for _, field := range append([]string{all}, fields...) {
		if n, _ := o.Int("status", field); n != wanted {
			return fmt.Sprintf("%s is %d of %d", field, n, wanted)
		}
	}
	return ""
}

func statefulSetFault(o kubectl.Object) string {
	wanted := wantedReplicas(o)
	if fault := countFault(o, "replicas", wanted, "readyReplicas", "availableReplicas"); fault != "" {
		return fault
	}
	if o.Text("spec", "updateStrategy", "type") == "OnDelete" {
		return "" // it replaces no pod by itself
	}
	partition, _ := o.Int("spec", "updateStrategy", "rollingUpdate", "partition")
	current, update := o.Text("status", "currentRevision"), o.Text("status", "updateRevision")
	updated, _ := o.Int("status", "updatedReplicas")
	if current != update && updated < max(0, wanted-partition) {
		return fmt.Sprintf("updatedReplicas is %d of %d", updated, max(0, wanted-partition))
	}
	return ""
}

func autoscalerFault(target string, o kubectl.Object) error {
	if status, reason, message := o.Condition("ScalingActive"); status != "True" {
		return notConverged(fmt.Sprintf("%s does not scale: %s: %s", target, orDefault(reason, "no condition yet"), message))
	}
	current, _ := o.Int("status", "currentReplicas")
	if desired, _ := o.Int("status", "desiredReplicas"); current != desired {
		return notConverged(fmt.Sprintf("%s has %d replicas and wants %d", target, current, desired))
	}
	return nil
}

// podFault looks at the pods themselves: those that should be gone, and what
// keeps the others from being ready.
func podFault(ctx context.Context, client *kubectl.Client, target string, o kubectl.Object, fault string) error {
	pods, err := podsOf(ctx, client, o)
	if err != nil {
		return err
	}
	ending := 0
	reasons := map[string]bool{}
	for _, pod := range pods {
		if pod.Text("metadata", "deletionTimestamp") != "" {
			ending++
		} else if reason := unready(pod); reason != "" {
			reasons[reason] = true
		}
	}
	if fault == "" && ending > 0 {
		fault = fmt.Sprintf("%d surplus pods are still ending", ending)
	}
	if fault == "" {
		return nil
	}
	text := target + ": " + fault
	if len(reasons) > 0 {
		var all []string
		for reason := range reasons {
			all = append(all, reason)
		}
		slices.Sort(all)
		text += ": " + strings.Join(all, "; ")
	}
	return notConverged(text)
}

// podsOf returns the pods that a workload selects.
func podsOf(ctx context.Context, client *kubectl.Client, o kubectl.Object) ([]kubectl.Object, error) {
	selector, err := labelSelector(o)
	if err != nil {
		return nil, err
	}
	return client.List(ctx, "pods", selector)
}

// labelSelector writes a workload's selector as kubectl takes it.
func labelSelector(o kubectl.Object) (string, error) {
	var terms []string
	labels, _ := o.At("spec", "selector", "matchLabels").(map[string]any)
	for key, value := range labels {
		terms = append(terms, fmt.Sprintf("%s=%v", key, value))
	}
	for _, e := range o.List("spec", "selector", "matchExpressions") {
		key, values := e.Text("key"), e.At("values")
		list, _ := values.([]any)
		var texts []string
		for _, v := range list {
			texts = append(texts, fmt.Sprint(v))
		}
		switch e.Text("operator") {
		case "In":
			terms = append(terms, fmt.Sprintf("%s in (%s)", key, strings.Join(texts, ",")))
		case "NotIn":
			terms = append(terms, fmt.Sprintf("%s notin (%s)", key, strings.Join(texts, ",")))
		case "Exists":
			terms = append(terms, key)
		case "DoesNotExist":
			terms = append(terms, "!"+key)
		}
	}
	if len(terms) == 0 {
		return "", errors.New(o.Target() + " has no selector")
	}
	slices.Sort(terms)
	return strings.Join(terms, ","), nil
}

// unready says what keeps a pod from being ready, or nothing where it is ready or
// only starting.
func unready(pod kubectl.Object) string {
	if status, reason, message := pod.Condition("PodScheduled"); status == "False" {
		return reason + ": " + message
	}
	for _, c := range pod.List("status", "containerStatuses") {
		for _, state := range []string{"waiting", "terminated"} {
			reason := c.Text("state", state, "reason")
			if reason != "" && reason != "ContainerCreating" && reason != "PodInitializing" {
				return strings.TrimSuffix(fmt.Sprintf("container %s: %s: %s", c.Text("name"), reason, c.Text("state", state, "message")), ": ")
			}
		}
	}
	return ""
}
