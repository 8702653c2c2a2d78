// Package examples holds the plans that scaleproof ships, and their files.
package examples

import (
	"embed"
)

// Files holds every example and the manifests that they apply, by its path in
// this folder.
//
//go:embed *.yaml manifests/*.yaml
var Files embed.FS

// LocalPlan and KubernetesPlan are what scaleproof init writes.
//
//go:embed init-local.yaml
var LocalPlan string

//go:embed init-kubernetes.yaml
var KubernetesPlan string
