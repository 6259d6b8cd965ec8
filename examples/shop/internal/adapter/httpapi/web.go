package httpapi

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"errors"
	"html/template"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

//go:embed page.html
var pageText string

var orderPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// defaultUser is who a visitor without a name is.
const defaultUser = "guest"

// web serves the store front: a page for people and JSON for programs.
type web struct {
	store *app.Storefront
	page  *template.Template
	log   *slog.Logger
}

// WebMux serves the web role.
func WebMux(store *app.Storefront, log *slog.Logger) (*http.ServeMux, error) {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	web := &web{store: store, page: page, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", web.home)
	mux.HandleFunc("GET /api/products", web.products)
	mux.HandleFunc("POST /api/cart/{user}/items", web.add)
	mux.HandleFunc("POST /api/checkout/{user}", web.checkout)
	return mux, nil
}

func (h *web) home(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("user")
	if name == "" {
		name = defaultUser
	}
	user, err := domain.ParseUser(name)
	if err != nil {
		refuse(w, err)
		return
	}
	view, err := h.store.View(r.Context(), user)
	if err != nil {
		refuse(w, err)
		return
	}
	// Rendered whole before the first byte, so that an error can still be told.
	var body bytes.Buffer
	err = h.page.Execute(&body, map[string]any{
		"View": view, "Key": rand.Text(), "Notice": notice(r), "MaxQuantity": domain.MaxQuantity,
	})
	if err != nil {
		h.log.ErrorContext(r.Context(), "page", "error", err)
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	_, _ = w.Write(body.Bytes()) // A client that has gone away is no error of ours.
}

func (h *web) products(w http.ResponseWriter, r *http.Request) {
	products, err := h.store.Catalog.Products(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, wire.FromProducts(products))
}

func (h *web) add(w http.ResponseWriter, r *http.Request) {
	user, wanted, err := h.wanted(r)
	var cart domain.Cart
	if err == nil {
		cart, err = h.store.Add(r.Context(), user, wanted)
	}
	if isForm(r) {
		h.back(w, r, user, url.Values{"notice": {Code(err)}})
		return
	}
	answerCart(w, cart, err)
}

func (h *web) wanted(r *http.Request) (domain.User, domain.Line, error) {
	if !isForm(r) {
		return item(r)
	}
	user, err := domain.ParseUser(r.PathValue("user"))
	if err != nil {
		return "", domain.Line{}, err
	}
	quantity, err := strconv.Atoi(r.FormValue("quantity"))
	if err != nil {
		return user, domain.Line{}, domain.ErrBadQuantity
	}
	wanted, err := line(r.FormValue("sku"), quantity)
	return user, wanted, err
}

func (h *web) checkout(w http.ResponseWriter, r *http.Request) {
	user, err := domain.ParseUser(r.PathValue("user"))
	if err != nil {
		refuse(w, err)
		return
	}
	key := r.Header.Get(keyHeader)
	if key == "" && isForm(r) {
		key = r.FormValue("key")
	}
	if key == "" {
		// The client will not repeat this call; a key lets our own calls be
		// repeated.
		key = rand.Text()
	}
	receipt, err := h.store.Cashier.Checkout(r.Context(), user, key)
	if isForm(r) {
		said := url.Values{"notice": {Code(err)}}
		if err == nil {
			said = url.Values{"notice": {"ordered"}, "order": {string(receipt.Order.ID)}}
		}
		h.back(w, r, user, said)
		return
	}
	answerReceipt(w, receipt, err)
}

// back sends a person to the page after a form, so that reloading it does not
// send the form again.
func (h *web) back(w http.ResponseWriter, r *http.Request, user domain.User, said url.Values) {
	if user != "" {
		said.Set("user", string(user))
	}
	http.Redirect(w, r, "/?"+said.Encode(), http.StatusSeeOther)
}

func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// notice turns the code that a redirect carries into a sentence; text from the
// address bar never reaches the page.
func notice(r *http.Request) string {
	code := r.FormValue("notice")
	switch code {
	case "":
		return ""
	case "ok":
		return "Added to your cart."
	case "ordered":
		if id := r.FormValue("order"); orderPattern.MatchString(id) {
			return "Thank you! Your order is " + id + "."
		}
		return "Thank you for your order!"
	}
	for _, p := range problems() {
		if p.code == code && !errors.Is(p.err, errBadRequest) {
			return "That did not work: " + p.err.Error() + "."
		}
	}
	return "That did not work. Please try again."
}
