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

// Where the secret is in a pod.
const (
	secretFolder = "/var/run/scaleproof"
	secretKey    = "secret"
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
			"ownerReferences": []any{map[string]any{
				"apiVersion": "batch/v1", "kind": "Job", "name": j.name, "uid": j.object.UID(), "blockOwnerDeletion": true,
			}},
		},
		"stringData": map[string]any{secretKey: hex.EncodeToString(secret)},
	}
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
			"backoffLimit": 0, "activeDeadlineSeconds": min(j.deadline(), startDeadline), "ttlSecondsAfterFinished": timeToLive,
			"template": map[string]any{
				"metadata": map[string]any{"labels": j.labels()},
				"spec":     j.podSpec(avoid),
			},
		},
	}
}

// deadline is how long the pods may be there, in seconds.
func (j *job) deadline() int {
	if d := int(j.Load.Workers.Deadline.Seconds()); d > 0 {
		return d
	}
	return defaultDeadline
}

func (j *job) podSpec(avoid map[string]string) map[string]any {
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
		"containers": []any{j.container()},
		"volumes": []any{map[string]any{
			"name": secretKey, "secret": map[string]any{"secretName": j.name, "defaultMode": 0o440},
		}},
		// Workers share no node where there is a choice: each has its own ports.
		"topologySpreadConstraints": []any{map[string]any{
			"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
			"labelSelector": map[string]any{"matchLabels": j.labels()},
		}},
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

func (j *job) container() map[string]any {
	w := j.Load.Workers
	requests := map[string]string{"cpu": "1", "memory": "256Mi"}
	maps.Copy(requests, w.Requests)
	limits := map[string]string{"memory": "512Mi"}
	maps.Copy(limits, w.Limits)
	container := map[string]any{
		"name": "worker", "image": w.Image,
		"command":   []any{"scaleproof"},
		"args":      []any{"worker", "--connect=" + j.address, "--secret-file=" + secretFolder + "/" + secretKey},
		"resources": map[string]any{"requests": requests, "limits": limits},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
			"capabilities": map[string]any{"drop": []any{"ALL"}},
		},
		"volumeMounts":             []any{map[string]any{"name": secretKey, "mountPath": secretFolder, "readOnly": true}},
		"terminationMessagePolicy": "FallbackToLogsOnError",
	}
	if w.PullPolicy != "" {
		container["imagePullPolicy"] = w.PullPolicy
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
