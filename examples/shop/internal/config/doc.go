// Package config turns the environment into one typed configuration per role.
//
// In: variables that begin with SHOP_; out: addresses, durations, counts, rates
// per second and sizes in MiB, all checked, or one error that lists everything
// that is wrong. It is the only reader of the environment and never fills in a
// value that contradicts another. Read roles.go; the table is in the README.
package config
