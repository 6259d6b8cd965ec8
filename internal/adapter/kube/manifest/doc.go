// Package manifest finds Kubernetes objects in files: single files, folders,
// standard input, kustomizations and Helm charts.
//
// In: paths and settings. Out: [Object]s as JSON, in the order in which they were
// read, each with the file, the document and the line from which it comes, and
// what was found but holds no objects.
// It never uses the network, runs a plugin or a program, or looks into objects
// further than to their kind. Source: what kubectl, kustomize and helm accept.
// Read walk.go, then document.go.
package manifest
