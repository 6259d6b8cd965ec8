package trace

import "time"

// SetDelay shortens the pause before a batch is sent again. Call it before spans
// are queued.
func SetDelay(e *Exporter, d time.Duration) { e.delay = d }
