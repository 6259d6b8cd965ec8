package natsserver

import (
	"errors"
	"fmt"
	"log/slog"
)

// logger writes the server's log as the shop's. The server calls Fatalf and
// goes on; the first such error is kept for whoever runs it.
type logger struct {
	log   *slog.Logger
	fatal chan error
}

func newLogger(log *slog.Logger) *logger {
	return &logger{log: log.With("component", "nats"), fatal: make(chan error, 1)}
}

// Noticef is chatty at start; it is for those who ask.
func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }

func (l *logger) Fatalf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	select {
	case l.fatal <- errors.New(message):
	default:
		l.log.Error(message)
	}
}
