package httpapi

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

// keyHeader names a checkout, so that repeating it is harmless.
const keyHeader = "Idempotency-Key"

// CheckoutMux serves the checkout role and counts accepted orders.
func CheckoutMux(cashier app.Checkout, accepted prometheus.Counter) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /checkout/{user}", func(w http.ResponseWriter, r *http.Request) {
		user, err := domain.ParseUser(r.PathValue("user"))
		if err != nil {
			refuse(w, err)
			return
		}
		receipt, err := cashier.Checkout(r.Context(), user, r.Header.Get(keyHeader))
		if err == nil && !receipt.Duplicate {
			accepted.Inc()
		}
		answerReceipt(w, receipt, err)
	})
	return mux
}

// answerReceipt answers 202: the order is stored and not yet fulfilled.
func answerReceipt(w http.ResponseWriter, receipt app.Receipt, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusAccepted, wire.FromReceipt(receipt))
}
