//go:build !race

package config

// slowdown: none.
const slowdown = 1
