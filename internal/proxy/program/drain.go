package program

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// askToDrain asks the proxy whose admin endpoint is at address to announce its end.
// It is for preStop hooks: kubelet's own HTTP hook cannot reach loopback.
func askToDrain(address string) error {
	network, at := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, at = "unix", path
	}
	client := http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, at)
		}},
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://localhost/drain", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no proxy answers at --admin %s: %w", address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // what it says helps, if it says anything
		return fmt.Errorf("the proxy at %s does not drain: %s %s", address, resp.Status, said)
	}
	return nil
}
