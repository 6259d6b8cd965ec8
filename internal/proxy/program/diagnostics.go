package program

import (
	"fmt"
	"io"
	"time"
)

const (
	// maxLines is how many lines wait for a reader; what is above is dropped.
	maxLines = 256
	// lastWords is how long the end of the program waits for a reader.
	lastWords = time.Second
)

// diagnostics write what operators should know. Who says something never waits:
// when nobody reads, a reload or a drain must go on.
type diagnostics struct {
	lines chan string
	last  chan struct{} // closed when only what is there is to be written
	done  chan struct{}
}

func newDiagnostics(w io.Writer) *diagnostics {
	d := &diagnostics{lines: make(chan string, maxLines), last: make(chan struct{}), done: make(chan struct{})}
	go d.run(w)
	return d
}

func (d *diagnostics) run(w io.Writer) {
	defer close(d.done)
	write := func(line string) { _, _ = io.WriteString(w, line) } // nobody is left to tell
	for {
		select {
		case line := <-d.lines:
			write(line)
		case <-d.last:
			for range len(d.lines) {
				write(<-d.lines)
			}
			return
		}
	}
}

// say adds a line with the time.
func (d *diagnostics) say(format string, args ...any) {
	line := time.Now().UTC().Format("2006-01-02T15:04:05.000Z ") + fmt.Sprintf(format, args...) + "\n"
	select {
	case d.lines <- line:
	default:
	}
}

// end writes what is left. What is said later is lost.
func (d *diagnostics) end() {
	close(d.last)
	select {
	case <-d.done:
	case <-time.After(lastWords):
	}
}
