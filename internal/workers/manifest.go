package workers

import (
	"context"
	"encoding/hex"
	"maps"
	"net"
	"strings"

	"scaleproof/internal/kubectl"
	"scaleproof/loadgen"
)

// The labels of workers, which are no application's own.
const (
	nameLabel    = "app.kubernetes.io/name"
	managerLabel = "app.kubernetes.io/managed-by"
	runLabel     = "scaleproof/run"
	workerName   = "scaleproof-worker"
)

// Where the secret is in a pod, and the addresses of the coordinator.
const (
	secretFolder = "/var/run/scaleproof"
	secretKey    = "secret"
	addressesKey = "coordinator"
)

// The times of a Job, in seconds: its deadline, that of one which has no Secret
// yet, and how long its objects stay after their end where nobody removes them.
const (
	defaultDeadline = 6 * 3600
	startDeadline   = 120
	timeToLive      = 120
)

// uid is the user that the pods run as.
const uid = 65532

func (j *job) labels() map[string]string {
	return map[string]string{nameLabel: workerName, managerLabel: kubectl.Manager, runLabel: j.ID}
}

// secret is the Secret that the workers prove themselves by. It goes with the Job.
func (j *job) secret(secret []byte) kubectl.Object {
	return kubectl.Object{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
		"metadata": map[string]any{
			"name": j.name, "labels": j.labels(),
			"ownerReferences": j.owner(),
		},
		"stringData": map[string]any{secretKey: hex.EncodeToString(secret), addressesKey: strings.Join(j.addresses, ",")},
	}
}

// owner makes an object go with the Job.
func (j *job) owner() []any {
	return []any{map[string]any{"apiVersion": "batch/v1", "kind": "Job", "name": j.name, "uid": j.object.UID(), "blockOwnerDeletion": true}}
}

// manifest is the Job, whose pods keep off the nodes of the pods that avoid
// selects.
func (j *job) manifest(avoid map[string]string) kubectl.Object {
	w := j.Load.Workers
	return kubectl.Object{
		"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"name": j.name, "labels": j.labels()},
		"spec": map[string]any{
			"completionMode": "Indexed", "completions": w.Count, "parallelism": w.Count,
			"backoffLimit": 0, "activeDeadlineSeconds": min(j.deadline(), j.startDeadline()), "ttlSecondsAfterFinished": timeToLive,
			"template": map[string]any{
				"metadata": map[string]any{"labels": j.labels()},
				"spec":     j.workerSpec(avoid),
			},
		},
	}
}

// startDeadline is how long the Job may be without its Secret, in seconds. A relay
// comes before that.
func (j *job) startDeadline() int {
	if j.Load.Workers.Through == loadgen.PortForward {
		return startDeadline + int(joining.Seconds())
	}
	return startDeadline
}

// deadline is how long the pods may be there, in seconds.
func (j *job) deadline() int {
	if d := int(j.Load.Workers.Deadline.Seconds()); d > 0 {
		return d
	}
	return defaultDeadline
}

// podSpec is what all pods of a run have, around their container.
func (j *job) podSpec(container map[string]any) map[string]any {
	w := j.Load.Workers
	spec := map[string]any{
		"restartPolicy":                 "Never",
		"terminationGracePeriodSeconds": 5,
		"automountServiceAccountToken":  false,
		"enableServiceLinks":            false,
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": uid, "runAsGroup": uid, "fsGroup": uid,
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"containers": []any{container},
	}
	if w.ServiceAccount != "" {
		spec["serviceAccountName"] = w.ServiceAccount
	}
	if len(w.NodeSelector) > 0 {
		spec["nodeSelector"] = w.NodeSelector
	}
	if len(w.Tolerations) > 0 {
		spec["tolerations"] = w.Tolerations
	}
	return spec
}

// workerSpec is the spec of the workers' pods, which keep off the nodes of the pods
// that avoid selects.
func (j *job) workerSpec(avoid map[string]string) map[string]any {
	requests := map[string]string{"cpu": "1", "memory": "256Mi"}
	maps.Copy(requests, j.Load.Workers.Requests)
	limits := map[string]string{"memory": "512Mi"}
	maps.Copy(limits, j.Load.Workers.Limits)
	container := j.container("worker", requests, limits)
	container["args"] = []any{"worker", "--connect-file=" + secretFolder + "/" + addressesKey, "--secret-file=" + secretFolder + "/" + secretKey}
	container["volumeMounts"] = []any{map[string]any{"name": secretKey, "mountPath": secretFolder, "readOnly": true}}
	spec := j.podSpec(container)
	spec["volumes"] = []any{map[string]any{
		"name": secretKey, "secret": map[string]any{"secretName": j.name, "defaultMode": 0o440},
	}}
	// Workers share no node where there is a choice: each has its own ports.
	spec["topologySpreadConstraints"] = []any{map[string]any{
		"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
		"labelSelector": map[string]any{"matchLabels": j.labels()},
	}}
	if len(avoid) > 0 {
		spec["affinity"] = map[string]any{"podAntiAffinity": map[string]any{
			"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{
				"weight": 100,
				"podAffinityTerm": map[string]any{
					"topologyKey": "kubernetes.io/hostname", "labelSelector": map[string]any{"matchLabels": avoid},
					"namespaces": []any{targetNamespace(j.Load, j.Client.Namespace)},
				},
			}},
		}}
	}
	return spec
}

// container is what all containers of a run have.
func (j *job) container(name string, requests, limits map[string]string) map[string]any {
	container := map[string]any{
		"name": name, "image": j.Load.Workers.Image,
		"command":   []any{"scaleproof"},
		"resources": map[string]any{"requests": requests, "limits": limits},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
			"capabilities": map[string]any{"drop": []any{"ALL"}},
		},
		"terminationMessagePolicy": "FallbackToLogsOnError",
	}
	if policy := j.Load.Workers.PullPolicy; policy != "" {
		container["imagePullPolicy"] = policy
	}
	return container
}

// avoid returns the labels of the target's pods: those of the plan, or those that
// the Service selects that the first target names or is the address of. Where
// there is none, or it can't be read, nothing is avoided.
func (j *job) avoid(ctx context.Context) map[string]string {
	if len(j.Load.Workers.Avoid) > 0 {
		return j.Load.Workers.Avoid
	}
	namespace := targetNamespace(j.Load, j.Client.Namespace)
	client := *j.Client
	client.Namespace = namespace
	services, err := client.List(ctx, "services", "")
	if err != nil {
		return nil
	}
	host := targetHost(j.Load)
	name, _, _ := strings.Cut(host, ".")
	for _, s := range services {
		if s.Text("spec", "clusterIP") != host && (s.Name() != name || net.ParseIP(host) != nil) {
			continue
		}
		selector := map[string]string{}
		if at, ok := s.At("spec", "selector").(map[string]any); ok {
			for key := range at {
				selector[key] = s.Text("spec", "selector", key)
			}
		}
		return selector
	}
	return nil
}

// targetHost is the host of the first target.
func targetHost(load loadgen.Config) string {
	source, err := loadgen.NewSource(load)
	if err != nil {
		return "" // Run tells
	}
	return source.Targets()[0].URL.Hostname()
}

// targetNamespace is the namespace that a target's name has behind its Service's:
// app.shop.svc.cluster.local; else otherwise.
func targetNamespace(load loadgen.Config, otherwise string) string {
	host := targetHost(load)
	parts := strings.Split(host, ".")
	if net.ParseIP(host) == nil && len(parts) >= 2 && (len(parts) == 2 || parts[2] == "svc") {
		return parts[1]
	}
	return otherwise
}
