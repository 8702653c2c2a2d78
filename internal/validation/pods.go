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
	"scaleproof/scaling"
)

// PodUsage returns what the containers of a namespace use, as kubectl top has it,
// with their requests and limits: of each container of a workload the pod that
// uses most, since that one meets the limit first. Figures of the last minute or
// so, from metrics-server. What can't be read is in the notes.
func PodUsage(ctx context.Context, client *kubectl.Client) (samples []snapshot.Sample, notes []string) {
	pods, unknown, err := scaling.Pods(ctx, client)
	if err != nil {
		return nil, []string{fmt.Sprintf("the pods can't be listed: %v", err)}
	}
	if unknown != nil {
		notes = append(notes, fmt.Sprintf("what the pods use can't be read: %v: is metrics-server installed?", unknown))
	}
	workloads := map[string]*podWorkload{}
	for _, pod := range pods {
		name, counted := workloadOf(pod)
		if !counted {
			continue
		}
		if workloads[name] == nil {
			workloads[name] = &podWorkload{containers: map[string]*podContainer{}}
		}
		workloads[name].add(pod)
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
func workloadOf(pod scaling.PodState) (string, bool) {
	kind, name, _ := strings.Cut(pod.Target, "/")
	return kind + "." + strings.Map(pathRune, name), kind != "job" && (pod.Phase == "Running" || pod.Phase == "Pending")
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

// add takes a pod in. Requests and limits of the newest template may differ from
// others': the smallest counts, since it is met first.
func (w *podWorkload) add(pod scaling.PodState) {
	w.pods++
	for _, c := range pod.Containers {
		name := strings.Map(pathRune, c.Name)
		known := w.containers[name]
		if known == nil {
			known = &podContainer{}
			w.containers[name] = known
		}
		for _, least := range []struct {
			to   *float64
			read *float64
		}{{&known.request.CPU, c.CPURequest}, {&known.request.Memory, c.MemoryRequest}, {&known.limit.CPU, c.CPULimit}, {&known.limit.Memory, c.MemoryLimit}} {
			*least.to = smaller(*least.to, orNone(least.read))
		}
		known.seen = known.seen || c.CPU != nil || c.Memory != nil
		known.used.CPU, known.used.Memory = max(known.used.CPU, orNone(c.CPU)), max(known.used.Memory, orNone(c.Memory))
	}
}

func orNone(amount *float64) float64 {
	if amount == nil {
		return 0
	}
	return *amount
}

func smaller(a, b float64) float64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
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
