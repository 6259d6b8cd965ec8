// Command protogen compiles a .proto file to Go, with Go modules alone: the
// compiler is a library, the two plugins are tools pinned in tools.mod.
//
// In: -modfile and the names of .proto files in the working folder; out: the
// .pb.go files beside them. It never downloads anything but Go modules, and the
// shop never runs it. Read main.go; it is the whole program.
package main
