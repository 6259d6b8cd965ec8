//go:build !linux

package server

import "context"

// startGCPercent keeps the heap near its live size.
const startGCPercent = 30

// saveMemory has no way here to give pages of the program file back.
func saveMemory(context.Context) {}
