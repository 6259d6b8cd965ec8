package exchange

import (
	"net/http"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

// date is the value of a Date field, made once per second and loop.
type date struct {
	second int64
	text   string
}

func (d *date) at(now int64) string {
	if second := now / 1e9; second != d.second || d.text == "" {
		d.second = second
		d.text = evloop.Wall(now).UTC().Format(http.TimeFormat)
	}
	return d.text
}

// dated adds the time to a response without one: whoever has a clock must say when
// it came, or when he made it (RFC 9110, section 6.6.1).
func (w *Worker) dated(h *message.Head) {
	if _, ok := h.Get(message.IDDate, ""); !ok {
		h.Add(message.IDDate, "date", w.date.at(w.loop.Now()))
	}
}
