// Package deploy carries the shop's Kubernetes manifests inside a program.
//
// Out: the YAML files of this folder, in the namespace shop, CPU in millicores
// and memory in MiB as written there. They are plain: kubectl apply -k works on
// the folder as well. It never talks to a cluster.
// Read kustomization.yaml for the order, then web.yaml.
package deploy
