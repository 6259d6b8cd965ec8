// Package natsserver runs the shop's queue: a NATS server with JetStream on
// files, from its Go module, in this process.
//
// In: an address and a folder; sizes are bytes. Out: a server that listens
// there and nowhere else. It never makes the shop's streams: those who use them
// do. Read server.go, then logger.go.
package natsserver
