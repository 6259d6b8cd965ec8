// Command shop is a small shop made of microservices: one binary, seven roles.
//
// In: the role as the only argument, SHOP_* variables; out: JSON logs, HTTP or
// gRPC on the role's port, health and metrics on another. It is the workload of
// Tatami's demos and tests and never holds a secret or needs the internet.
// Read README.md, then internal/app.
package main
