package accesslog

import (
	"encoding/hex"
	"strconv"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
)

// appendJSON writes a line as one JSON object. Members that have no value are left
// out, except the ones that every request has.
func appendJSON(b []byte, e *entry) []byte {
	b = append(append(append(b, `{"time":"`...), e.time...), '"')
	if e.Protocol != metrics.ProtocolTCP {
		b = member(b, `,"method":"`, e.Method, maxValue)
		b = member(b, `,"authority":"`, e.Authority, maxValue)
		b = member(b, `,"path":"`, e.path, maxPath)
		b = append(append(append(b, `,"version":"`...), e.Version.String()...), '"')
		b = number(b, `,"status":`, int64(e.Status))
	}
	if e.Protocol == metrics.ProtocolGRPC {
		b = append(append(append(b, `,"grpc_status":"`...), metrics.GRPC(e.GRPCStatus).String()...), '"')
	}
	b = append(append(append(b, `,"protocol":"`...), e.Protocol.String()...), '"')
	b = number(b, `,"bytes_in":`, e.BytesIn)
	b = number(b, `,"bytes_out":`, e.BytesOut)
	b = appendMillis(append(b, `,"duration_ms":`...), e.duration)
	b = optional(b, `,"upstream":"`, e.Upstream)
	b = optional(b, `,"cluster":"`, e.Cluster)
	if e.Attempts > 0 {
		b = number(b, `,"attempts":`, int64(e.Attempts))
	}
	b = optional(b, `,"route":"`, e.Route)
	b = optional(b, `,"listener":"`, e.Listener)
	if e.Client.IsValid() {
		b = append(appendClient(append(b, `,"client":"`...), e.Client), '"')
	}
	b = optional(b, `,"peer":"`, e.Peer)
	if e.Trace.Valid() {
		b = append(hex.AppendEncode(append(b, `,"trace_id":"`...), e.Trace.Trace[:]), '"')
	}
	if e.Flags != 0 {
		b = append(e.Flags.Append(append(b, `,"flags":"`...)), '"')
	}
	b = optional(b, `,"user_agent":"`, e.UserAgent)
	return append(b, '}', '\n')
}

func member(b []byte, name, value string, limit int) []byte {
	return append(appendEscaped(append(b, name...), value, limit), '"')
}

func optional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return member(b, name, value, maxValue)
}

func number(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(b, name...), value, 10)
}
