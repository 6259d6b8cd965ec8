// Package oci builds container images from static programs and checks image
// archives, without a registry, a daemon or a build file.
//
// In: files of this machine. Out: images and tar archives whose digest depends
// on nothing but the input: fixed times, sorted entries, no compression. Sizes
// are bytes. It never talks to the network or to containerd, and never runs
// what it packs. Source: OCI image specification 1.1 and the format of `docker
// save`. Read build.go next, then archive.go and check.go.
package oci
