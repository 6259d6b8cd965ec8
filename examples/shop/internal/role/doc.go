// Package role puts the shop's roles together: configuration, adapters, use
// cases, and the process that runs them.
//
// In: the name of a role, the environment, a place for logs; out: a process and
// an exit code, 0 or 1. It is the only place that knows all packages, and it
// never holds a rule of the shop. Read role.go, then the file of a role.
package role
