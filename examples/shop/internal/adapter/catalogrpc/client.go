package catalogrpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/catalogrpc/catalogpb"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// retries repeats calls that did not reach the catalog; they only read.
const retries = `{"methodConfig": [{
  "name": [{"service": "shop.catalog.v1.Catalog"}],
  "retryPolicy": {
    "maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "0.5s",
    "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]
  }
}]}`

// Client implements app.Catalog against the catalog role.
type Client struct {
	conn    *grpc.ClientConn
	catalog catalogpb.CatalogClient
	health  grpc_health_v1.HealthClient
	timeout time.Duration
}

// NewClient connects to host:port when it is first used. Each call, with its
// retries, has the timeout.
func NewClient(address string, timeout time.Duration) (*Client, error) {
	reconnect := backoff.DefaultConfig
	// The default waits up to two minutes; a shop in front of a restarted
	// catalog should not.
	reconnect.BaseDelay, reconnect.MaxDelay = 100*time.Millisecond, time.Second
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: timeout}),
	)
	if err != nil {
		return nil, fmt.Errorf("catalog at %s: %w", address, err)
	}
	return &Client{
		conn: conn, catalog: catalogpb.NewCatalogClient(conn),
		health: grpc_health_v1.NewHealthClient(conn), timeout: timeout,
	}, nil
}

// Products asks the catalog.
func (c *Client) Products(ctx context.Context, skus ...domain.SKU) ([]domain.Product, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	in := &catalogpb.ListProductsRequest{}
	for _, sku := range skus {
		in.Skus = append(in.Skus, string(sku))
	}
	answer, err := c.catalog.ListProducts(ctx, in)
	if err != nil {
		return nil, translate(err)
	}
	products := make([]domain.Product, 0, len(answer.GetProducts()))
	for _, p := range answer.GetProducts() {
		products = append(products, domain.Product{
			SKU: domain.SKU(p.GetSku()), Name: p.GetName(), Icon: p.GetIcon(), Price: domain.Money(p.GetPriceNanoUsd()),
		})
	}
	return products, nil
}

func translate(err error) error {
	if status.Code(err) == codes.InvalidArgument {
		return fmt.Errorf("%w: %w", domain.ErrUnknownProduct, err)
	}
	return fmt.Errorf("catalog: %w: %w", app.ErrUnavailable, err)
}

// Ready asks the catalog's health service.
func (c *Client) Ready(ctx context.Context) error {
	answer, err := c.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("catalog says %s", answer.GetStatus())
	}
	return nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
