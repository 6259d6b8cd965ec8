// Package program is the command line of tatami-proxy: flags in, a running proxy
// and an exit code out.
//
// It chooses the source of the configuration (flags, files, control plane), starts
// server, admin endpoint and hand-over, and turns signals into reload, drain and
// end. It never reads the environment and holds no data path. Exit codes: 0 done, 1 error,
// 130 interrupted. Read next: program.go.
package program
