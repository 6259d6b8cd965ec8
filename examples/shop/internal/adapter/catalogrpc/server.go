package catalogrpc

import (
	"context"
	"errors"
	"net"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/catalogrpc/catalogpb"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
)

const (
	callTimeout = 5 * time.Second
	maxMessage  = 16 << 10
	maxSKUs     = 100
)

// Server serves a catalog over gRPC, with health checks.
type Server struct {
	catalogpb.UnimplementedCatalogServer

	catalog app.Catalog
	grpc    *grpc.Server
	health  *health.Server
}

// NewServer serves the catalog given.
func NewServer(catalog app.Catalog, requests *telemetry.Requests) *Server {
	s := &Server{catalog: catalog, health: health.NewServer()}
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.ConnectionTimeout(5*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			// Clients find new replicas when their connection comes of age.
			MaxConnectionAge: 5 * time.Minute, MaxConnectionAgeGrace: 10 * time.Second,
			Time: 30 * time.Second, Timeout: 10 * time.Second,
		}),
		grpc.UnaryInterceptor(instrument(requests)),
	)
	catalogpb.RegisterCatalogServer(s.grpc, s)
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	return s
}

func instrument(requests *telemetry.Requests) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, in any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		start := time.Now()
		out, err := next(ctx, in)
		requests.Observe(path.Base(info.FullMethod), status.Code(err).String(), time.Since(start))
		return out, err
	}
}

// ListProducts implements the contract.
func (s *Server) ListProducts(ctx context.Context, in *catalogpb.ListProductsRequest) (*catalogpb.ListProductsResponse, error) {
	if len(in.GetSkus()) > maxSKUs {
		return nil, status.Errorf(codes.InvalidArgument, "%d products asked for, at most %d", len(in.GetSkus()), maxSKUs)
	}
	skus := make([]domain.SKU, 0, len(in.GetSkus()))
	for _, sku := range in.GetSkus() {
		parsed, err := domain.ParseSKU(sku)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		skus = append(skus, parsed)
	}
	products, err := s.catalog.Products(ctx, skus...)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	out := &catalogpb.ListProductsResponse{}
	for _, p := range products {
		out.Products = append(out.Products, &catalogpb.Product{
			Sku: string(p.SKU), Name: p.Name, Icon: p.Icon, PriceNanoUsd: int64(p.Price),
		})
	}
	return out, nil
}

// Serve answers calls until Stop.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Drain tells health checks that no new work is wanted.
func (s *Server) Drain() { s.health.Shutdown() }

// Stop lets calls finish until the context ends, then cuts them off.
func (s *Server) Stop(ctx context.Context) error {
	cut := context.AfterFunc(ctx, s.grpc.Stop)
	defer cut()
	s.grpc.GracefulStop()
	return ctx.Err()
}
