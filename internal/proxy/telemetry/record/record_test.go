package record_test

import (
	"math/bits"
	"testing"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		set  record.Flag
		want string
	}{
		{"none", 0, ""},
		{"first", record.NoRoute, "no_route"},
		{"last", record.Delayed, "delayed"},
		{"several", record.Timeout | record.RetryExhausted | record.Retried, "timeout,retry_exhausted,retried"},
		{"undefined", 1 << 31, ""},
	} {
		if got := c.set.String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if record.Delayed != 1<<(record.FlagCount-1) {
		t.Errorf("there are %d flags, not %d", bits.Len32(uint32(record.Delayed)), record.FlagCount)
	}
	names := map[string]bool{}
	for i := range record.FlagCount {
		if names[record.Name(i)] || record.Name(i) == "" {
			t.Errorf("flag %d has no name of its own: %q", i, record.Name(i))
		}
		names[record.Name(i)] = true
	}
}

func TestCode(t *testing.T) {
	for _, c := range []struct {
		name   string
		record record.Record
		want   string
		failed bool
	}{
		{"HTTP", record.Record{Status: 404, GRPCStatus: 14}, "4xx", false},
		{"HTTP/2", record.Record{Protocol: metrics.ProtocolHTTP2, Status: 500}, "5xx", true},
		{"gRPC", record.Record{Protocol: metrics.ProtocolGRPC, Status: 200, GRPCStatus: 13}, "INTERNAL", true},
		{"TCP", record.Record{Protocol: metrics.ProtocolTCP, Status: 200}, "none", false},
		{"no answer", record.Record{Flags: record.ClientClosed}, "none", true},
	} {
		if got := c.record.Code().String(); got != c.want || c.record.Failed() != c.failed {
			t.Errorf("%s: %q, failed %v", c.name, got, c.record.Failed())
		}
		c.record.Reset()
		if c.record != (record.Record{}) {
			t.Errorf("%s: not empty after Reset", c.name)
		}
	}
}
