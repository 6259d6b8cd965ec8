package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

// CartClient implements app.Carts against the cart role.
type CartClient struct{ *Client }

// Cart reads a cart.
func (c CartClient) Cart(ctx context.Context, user domain.User) (domain.Cart, error) {
	var out wire.Cart
	err := c.do(ctx, call{method: http.MethodGet, path: "/carts/" + string(user), out: &out})
	return wire.ToCart(out), err
}

// Add is not repeated: a second try could put the product in twice.
func (c CartClient) Add(ctx context.Context, user domain.User, line domain.Line) (domain.Cart, error) {
	var out wire.Cart
	err := c.do(ctx, call{
		method: http.MethodPost, path: "/carts/" + string(user) + "/items",
		in: wire.Line{SKU: string(line.SKU), Quantity: line.Quantity}, out: &out,
	})
	return wire.ToCart(out), err
}

// Settle takes an order out of a cart.
func (c CartClient) Settle(ctx context.Context, user domain.User, id domain.OrderID, lines []domain.Line) error {
	return c.do(ctx, call{
		method: http.MethodPut, path: fmt.Sprintf("/carts/%s/settled/%s", user, id),
		in: wire.Settlement{Lines: wire.FromLines(lines)},
	})
}

// CheckoutClient implements app.Checkout against the checkout role.
type CheckoutClient struct{ *Client }

// Checkout is safe to repeat because of its key.
func (c CheckoutClient) Checkout(ctx context.Context, user domain.User, key string) (app.Receipt, error) {
	var out wire.Receipt
	err := c.do(ctx, call{method: http.MethodPost, path: "/checkout/" + string(user), key: key, out: &out})
	return wire.ToReceipt(out), err
}

// WebClient visits the web role as a customer's program does; it implements
// traffic.Shop.
type WebClient struct{ *Client }

// Page loads the page.
func (c WebClient) Page(ctx context.Context, user string) error {
	return c.do(ctx, call{method: http.MethodGet, path: "/?user=" + user})
}

// Products lists what can be bought.
func (c WebClient) Products(ctx context.Context) ([]string, error) {
	var out []wire.Product
	err := c.do(ctx, call{method: http.MethodGet, path: "/api/products", out: &out})
	skus := make([]string, 0, len(out))
	for _, p := range out {
		skus = append(skus, p.SKU)
	}
	return skus, err
}

// Add puts a product into the cart.
func (c WebClient) Add(ctx context.Context, user, sku string, quantity int) error {
	return c.do(ctx, call{
		method: http.MethodPost, path: "/api/cart/" + user + "/items",
		in: wire.Line{SKU: sku, Quantity: quantity},
	})
}

// Checkout orders what is in the cart.
func (c WebClient) Checkout(ctx context.Context, user, key string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/api/checkout/" + user, key: key})
}
