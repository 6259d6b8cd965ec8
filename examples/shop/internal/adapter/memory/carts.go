package memory

import (
	"container/list"
	"context"
	"sync"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// Carts implements app.Carts for at most Limit customers.
type Carts struct {
	limit   int
	evicted func()

	mu     sync.Mutex
	byUser map[domain.User]*list.Element
	recent *list.List // of domain.Cart, most recently used first
}

// NewCarts keeps at most limit carts and calls evicted for each one dropped.
func NewCarts(limit int, evicted func()) *Carts {
	return &Carts{
		limit: limit, evicted: evicted,
		byUser: make(map[domain.User]*list.Element), recent: list.New(),
	}
}

// Len is the number of carts.
func (c *Carts) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len()
}

// Cart returns the customer's cart. Looking does not create one.
func (c *Carts) Cart(_ context.Context, user domain.User) (domain.Cart, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(user), nil
}

// Add puts a line into the customer's cart.
func (c *Carts) Add(_ context.Context, user domain.User, line domain.Line) (domain.Cart, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cart, err := c.get(user).Add(line.SKU, line.Quantity)
	if err != nil {
		return domain.Cart{}, err
	}
	c.put(cart)
	return cart, nil
}

// Settle takes an order out of the customer's cart.
func (c *Carts) Settle(_ context.Context, user domain.User, id domain.OrderID, lines []domain.Line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A cart that is gone holds nothing to take out.
	if _, known := c.byUser[user]; known {
		c.put(c.get(user).Settle(id, lines))
	}
	return nil
}

func (c *Carts) get(user domain.User) domain.Cart {
	at, known := c.byUser[user]
	if !known {
		return domain.Cart{User: user}
	}
	c.recent.MoveToFront(at)
	cart, _ := at.Value.(domain.Cart) // The list holds nothing else.
	return cart
}

func (c *Carts) put(cart domain.Cart) {
	if at, known := c.byUser[cart.User]; known {
		at.Value = cart
		return
	}
	c.byUser[cart.User] = c.recent.PushFront(cart)
	if c.recent.Len() > c.limit {
		oldest, _ := c.recent.Remove(c.recent.Back()).(domain.Cart)
		delete(c.byUser, oldest.User)
		c.evicted()
	}
}
