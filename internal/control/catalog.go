package control

import (
	"context"

	"github.com/tatami-platform/tatami/internal/core/catalog"
)

// Catalog asks a cloud what it sells; adapter/ec2 implements it.
type Catalog interface {
	// Refresh returns base with the shapes, zones and prices of a region as they
	// are now. Other regions stay as they are, and so does what the cloud does
	// not say, such as how often spot machines are taken back.
	Refresh(ctx context.Context, base *catalog.Book, region string, p Progress) (*catalog.Book, error)
}
