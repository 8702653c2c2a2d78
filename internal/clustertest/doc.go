// Package clustertest holds the tests that need a real Kubernetes cluster. They
// run under the build tag cluster, by make test-cluster, and share one cluster,
// in which each test has a namespace of its own.
package clustertest
