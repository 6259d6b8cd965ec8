package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

// errBadRequest means that a body could not be read.
var errBadRequest = errors.New("bad request")

// problem ties an error to its form on the wire, in both directions.
type problem struct {
	err    error
	code   string
	status int
}

func problems() []problem {
	return []problem{
		{errBadRequest, "bad_request", http.StatusBadRequest},
		{domain.ErrBadName, "bad_name", http.StatusBadRequest},
		{domain.ErrBadQuantity, "bad_quantity", http.StatusBadRequest},
		{domain.ErrBadKey, "bad_key", http.StatusBadRequest},
		{domain.ErrUnknownProduct, "unknown_product", http.StatusNotFound},
		{domain.ErrCartEmpty, "cart_empty", http.StatusConflict},
		{domain.ErrCartFull, "cart_full", http.StatusConflict},
		{domain.ErrOverflow, "overflow", http.StatusUnprocessableEntity},
		{app.ErrUnavailable, "unavailable", http.StatusServiceUnavailable},
		{context.DeadlineExceeded, "timeout", http.StatusServiceUnavailable},
	}
}

// problemOf finds the form of an error; what is not known is our own fault.
func problemOf(err error) problem {
	for _, p := range problems() {
		if errors.Is(err, p.err) {
			return p
		}
	}
	return problem{err, "internal", http.StatusInternalServerError}
}

// Code returns the stable code of an error, "ok" for none.
func Code(err error) string {
	if err == nil {
		return "ok"
	}
	return problemOf(err).code
}

// remoteError is an error that another role reported.
type remoteError struct {
	err     error
	message string
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.err }

func fromWire(e wire.Error) error {
	for _, p := range problems() {
		if p.code == e.Code {
			return &remoteError{p.err, e.Message}
		}
	}
	return &remoteError{app.ErrUnavailable, e.Message}
}
