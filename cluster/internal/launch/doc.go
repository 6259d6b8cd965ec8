// Package launch is the command line's side of a cluster: it checks the host,
// starts and stops the server process, merges the kubeconfig, and asks a
// running cluster how it is. It implements control.Platform.
//
// In: requests of the verbs. Out: control.Status, control.Problem. What it sets
// up on the host it also removes, after a kill of the server or of itself too.
// It never touches a cluster, a container engine or a context of another name.
// Read platform.go next; up.go and down.go are the two ways.
package launch
