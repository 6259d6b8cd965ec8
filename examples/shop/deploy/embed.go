package deploy

import "embed"

// Files holds kustomization.yaml and the manifests that it names.
//
//go:embed *.yaml
var Files embed.FS
