// Up measures how long a cluster takes to start, and how much memory it holds.
//
// In: the built bin/tatami, a number of runs, root and containerd. Out: a table
// or JSON with median, lowest and highest of each figure, milliseconds and
// bytes, beside the machine, and which targets were met. Each run starts from an
// empty data folder, once without and once with the sample shop under load. It
// never builds anything, never keeps a cluster and never touches another one.
// Read run.go next for what is measured when, memory.go for what counts.
package main
