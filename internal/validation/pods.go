package validation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"scaleproof/capacity"
	"scaleproof/internal/kubectl"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// PodUsage returns what the containers of a namespace use, as kubectl top has it,
// with their requests and limits: of each container of a workload the pod that
// uses most, since that one meets the limit first. Figures of the last minute or
// so, from metrics-server. What can't be read is in the notes.
func PodUsage(ctx context.Context, client *kubectl.Client) (samples []snapshot.Sample, notes []string) {
	pods, err := client.List(ctx, "pods", "")
	if err != nil {
		return nil, []string{fmt.Sprintf("the pods can't be listed: %v", err)}
	}
	workloads := map[string]*podWorkload{}
	places := map[string]*podWorkload{} // by the pod's name
	for _, pod := range pods {
		name, counted := workloadOf(pod)
		if !counted {
			continue
		}
		w := workloads[name]
		if w == nil {
			w = &podWorkload{containers: map[string]*podContainer{}}
			workloads[name] = w
		}
		places[pod.Name()] = w
		notes = append(notes, w.add(pod)...)
	}
	top, err := client.Raw(ctx, "/apis/metrics.k8s.io/v1beta1/namespaces/"+client.Namespace+"/pods")
	if err != nil {
		notes = append(notes, fmt.Sprintf("what the pods use can't be read: %v: is metrics-server installed?", err))
	}
	for _, pod := range top.List("items") {
		if w := places[pod.Name()]; w != nil {
			w.use(pod)
		}
	}
	scalers, err := autoscaled(ctx, client)
	if err != nil {
		notes = append(notes, fmt.Sprintf("the HPAs can't be listed: %v", err))
	}
	for _, name := range slices.Sorted(maps.Keys(workloads)) {
		samples = append(samples, workloads[name].samples("k8s."+name, scalers[name])...)
	}
	return samples, notes
}

// workloadOf names what a pod belongs to as kind.name, and tells whether it is one
// that goes on: neither ended nor of a job.
func workloadOf(pod kubectl.Object) (string, bool) {
	if phase := pod.Text("status", "phase"); phase != "Running" && phase != "Pending" {
		return "", false
	}
	kind, name := "pod", pod.Name()
	for _, owner := range pod.List("metadata", "ownerReferences") {
		kind, name = strings.ToLower(owner.Text("kind")), owner.Text("name")
	}
	if hash := pod.Text("metadata", "labels", "pod-template-hash"); kind == "replicaset" && hash != "" {
		kind, name = "deployment", strings.TrimSuffix(name, "-"+hash)
	}
	return kind + "." + strings.Map(pathRune, name), kind != "job"
}

// A podScaler is the HPA of a workload; the zero value is none.
type podScaler struct {
	name string
	most int64 // replicas
}

// autoscaled returns the HPAs by workload.
func autoscaled(ctx context.Context, client *kubectl.Client) (map[string]podScaler, error) {
	hpas, err := client.List(ctx, "horizontalpodautoscalers.autoscaling", "")
	scalers := map[string]podScaler{}
	for _, hpa := range hpas {
		if n, ok := hpa.Int("spec", "maxReplicas"); ok {
			name := hpa.Text("spec", "scaleTargetRef", "name")
			scalers[strings.ToLower(hpa.Text("spec", "scaleTargetRef", "kind"))+"."+strings.Map(pathRune, name)] = podScaler{strings.Map(pathRune, hpa.Name()), n}
		}
	}
	return scalers, err
}

// A podWorkload is the pods of one owner.
type podWorkload struct {
	pods       int
	containers map[string]*podContainer
}

// A podContainer is a container of a workload. Amounts are 0 where there are
// none.
type podContainer struct {
	used, request, limit capacity.ResourceAmount
	seen                 bool // metrics-server knows one
}

// add takes a pod's requests and limits in. Those of the newest template may
// differ from others': the smallest counts, since it is met first.
func (w *podWorkload) add(pod kubectl.Object) (notes []string) {
	w.pods++
	for _, c := range pod.List("spec", "containers") {
		name := strings.Map(pathRune, c.Text("name"))
		known := w.containers[name]
		if known == nil {
			known = &podContainer{}
			w.containers[name] = known
		}
		for _, field := range []struct {
			kind string
			to   *capacity.ResourceAmount
		}{{"requests", &known.request}, {"limits", &known.limit}} {
			amount, err := amountAt(c, "resources", field.kind)
			if err != nil {
				notes = append(notes, fmt.Sprintf("pod %s, container %s, %s: %v", pod.Name(), name, field.kind, err))
			}
			field.to.CPU, field.to.Memory = smaller(field.to.CPU, amount.CPU), smaller(field.to.Memory, amount.Memory)
		}
	}
	return notes
}

func smaller(a, b float64) float64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// use takes the usage of a pod in.
func (w *podWorkload) use(pod kubectl.Object) {
	for _, c := range pod.List("containers") {
		known := w.containers[strings.Map(pathRune, c.Text("name"))]
		amount, err := amountAt(c, "usage")
		if known == nil || err != nil {
			continue
		}
		known.seen = true
		known.used.CPU, known.used.Memory = max(known.used.CPU, amount.CPU), max(known.used.Memory, amount.Memory)
	}
}

// amountAt reads CPU and memory at a path; what is not there is 0.
func amountAt(o kubectl.Object, path ...string) (amount capacity.ResourceAmount, err error) {
	for _, resource := range []struct {
		name string
		to   *float64
	}{{"cpu", &amount.CPU}, {"memory", &amount.Memory}} {
		text := o.Text(append(slices.Clone(path), resource.name)...)
		if text == "" {
			continue
		}
		var quantity capacity.Decimal
		if err := quantity.UnmarshalText([]byte(text)); err != nil {
			return amount, err
		}
		*resource.to = float64(quantity)
	}
	return amount, nil
}

// samples returns the metrics of a workload.
func (w *podWorkload) samples(name string, scaler podScaler) []snapshot.Sample {
	sample := func(part string, base unit.Base, value float64) snapshot.Sample {
		return snapshot.Sample{Name: name + "." + part, Unit: base, Better: snapshot.Neutral, Value: value}
	}
	samples := []snapshot.Sample{sample("pods", unit.Count, float64(w.pods))}
	if most := float64(scaler.most); most > 0 {
		samples = append(samples, sample("pods"+capacity.LimitSuffix, unit.Count, most), sample("hpa."+scaler.name, unit.Count, most))
	}
	for _, container := range slices.Sorted(maps.Keys(w.containers)) {
		c := w.containers[container]
		for _, figure := range []struct {
			part                 string
			base                 unit.Base
			used, request, limit float64
		}{
			{container + ".cpu", unit.Cores, c.used.CPU, c.request.CPU, c.limit.CPU},
			{container + ".memory", unit.Bytes, c.used.Memory, c.request.Memory, c.limit.Memory},
		} {
			if c.seen {
				samples = append(samples, sample(figure.part, figure.base, figure.used))
			}
			if figure.request > 0 {
				samples = append(samples, sample(figure.part+"_request", figure.base, figure.request))
			}
			if figure.limit > 0 {
				samples = append(samples, sample(figure.part+capacity.LimitSuffix, figure.base, figure.limit))
			}
		}
	}
	return samples
}
