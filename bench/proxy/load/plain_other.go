//go:build !linux

package load

import "context"

// plain has no event loop outside Linux.
func (h HTTP1) plain(ctx context.Context, addr string, p Plan) (Result, error) {
	return h.each(ctx, addr, p)
}
