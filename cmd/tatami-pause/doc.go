// Command tatami-pause is the program that keeps a pod's namespaces open: the
// kubelet starts it first in every pod and stops it last.
//
// In: nothing, neither arguments nor environment. Out: exit code 0 at SIGTERM or
// SIGINT. As process 1 it reaps the orphans of a pod that shares its process
// namespace. It never logs, allocates in its loop, or opens a file, since one
// copy of it runs for every pod. It is part of the image tatami.dev/pause.
// Read main_linux.go.
package main
