//go:build race

package config

// slowdown of the race detector.
const slowdown = 20
