package testcluster

import "context"

// metricsObjects tell the API server where metrics-server is: a process of the
// node, not a pod.
const metricsObjects = `
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {ports: [{name: https, port: 443, targetPort: 4443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-server, namespace: kube-system, labels: {kubernetes.io/service-name: metrics-server}}
addressType: IPv4
ports: [{name: https, port: 4443}]
endpoints: [{addresses: ["10.99.0.1"], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-server, namespace: kube-system}
`

// startMetrics starts metrics-server and does not wait for its first figures,
// which come some 20 s later (kubectl top).
func (c *Cluster) startMetrics(ctx context.Context) error {
	config := c.Kubeconfig()
	err := c.startComponent("metrics-server", "metrics-server", "--kubeconfig="+config, "--authentication-kubeconfig="+config,
		"--authorization-kubeconfig="+config, "--cert-dir="+c.path("metrics"), "--secure-port=4443", "--kubelet-insecure-tls",
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-request-timeout=5s", "--metric-resolution=10s")
	if err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, metricsObjects, "apply", "-f", "-")
	return err
}
