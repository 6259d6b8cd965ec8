package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

const (
	maxBody = 16 << 10
	// requestTimeout is what one request may take with all that it calls.
	requestTimeout = 8 * time.Second
)

// NewServer serves a handler with a limit on everything a client can draw out.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + 2*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxBody,
	}
}

// Instrument limits, counts and logs every request. Routes are mux patterns,
// so that users' names never become label values.
func Instrument(mux *http.ServeMux, requests *telemetry.Requests, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		start := time.Now()
		mux.ServeHTTP(answer, r)
		took := time.Since(start)
		route := r.Pattern
		if route == "" {
			route = "other"
		}
		requests.Observe(route, strconv.Itoa(answer.status), took)
		level := slog.LevelDebug
		if answer.status >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "request", "method", r.Method, "path", r.URL.Path,
			"status", answer.status, "seconds", took.Seconds())
	})
}

type statusWriter struct {
	http.ResponseWriter

	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that has gone away is no error of ours.
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, err error) {
	p := problemOf(err)
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	message := err.Error()
	if p.status == http.StatusInternalServerError {
		message = "internal error" // Details are for the log.
	}
	reply(w, p.status, wire.Error{Code: p.code, Message: message})
}

func decode(r *http.Request, into any) error {
	body := json.NewDecoder(r.Body)
	body.DisallowUnknownFields()
	if err := body.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errBadRequest, err)
	}
	return nil
}

// line checks a product and a quantity that came from outside. The limit on
// the quantity is the cart's matter.
func line(sku string, quantity int) (domain.Line, error) {
	parsed, err := domain.ParseSKU(sku)
	return domain.Line{SKU: parsed, Quantity: quantity}, err
}
