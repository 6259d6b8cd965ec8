// Package chart renders Helm charts.
//
// In: a chart in a folder or an archive, files of values and settings. Out: the
// text of its manifests, by the name of the template.
// It never installs anything, looks into a cluster or downloads what a chart
// needs. It is a package of its own because a program that links Helm is larger
// by some ten megabytes. Source: Helm 4. Read render.go.
package chart
