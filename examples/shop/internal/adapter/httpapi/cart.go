package httpapi

import (
	"net/http"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

// CartMux serves the cart role.
func CartMux(carts app.Carts) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /carts/{user}", func(w http.ResponseWriter, r *http.Request) {
		user, err := domain.ParseUser(r.PathValue("user"))
		if err != nil {
			refuse(w, err)
			return
		}
		cart, err := carts.Cart(r.Context(), user)
		answerCart(w, cart, err)
	})
	mux.HandleFunc("POST /carts/{user}/items", func(w http.ResponseWriter, r *http.Request) {
		user, item, err := item(r)
		if err != nil {
			refuse(w, err)
			return
		}
		cart, err := carts.Add(r.Context(), user, item)
		answerCart(w, cart, err)
	})
	mux.HandleFunc("PUT /carts/{user}/settled/{order}", func(w http.ResponseWriter, r *http.Request) {
		user, err := domain.ParseUser(r.PathValue("user"))
		var settlement wire.Settlement
		if err == nil {
			err = decode(r, &settlement)
		}
		if err == nil {
			err = carts.Settle(r.Context(), user, domain.OrderID(r.PathValue("order")), wire.ToLines(settlement.Lines))
		}
		if err != nil {
			refuse(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// item reads a customer from the path and a line from a JSON body.
func item(r *http.Request) (domain.User, domain.Line, error) {
	user, err := domain.ParseUser(r.PathValue("user"))
	if err != nil {
		return "", domain.Line{}, err
	}
	var body wire.Line
	if err := decode(r, &body); err != nil {
		return "", domain.Line{}, err
	}
	parsed, err := line(body.SKU, body.Quantity)
	return user, parsed, err
}

func answerCart(w http.ResponseWriter, cart domain.Cart, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, wire.FromCart(cart))
}
