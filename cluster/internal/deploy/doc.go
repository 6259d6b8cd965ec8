// Package deploy applies manifests: the platform's own objects, the sample
// shop, and what a user names with `up -f`.
//
// In: YAML or JSON, as files, folders, kustomizations or embedded. Out:
// server-side apply in an order in which namespaces and definitions come
// first. Everything is parsed before anything is applied. It never deletes.
// Read apply.go next.
package deploy
