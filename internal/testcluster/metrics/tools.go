//go:build tools

// Package metrics pins the metrics-server that a test cluster runs. It is a
// module of its own: it needs other versions of Kubernetes' libraries than the
// cluster's programs do.
package metrics

import _ "sigs.k8s.io/metrics-server/cmd/metrics-server"
