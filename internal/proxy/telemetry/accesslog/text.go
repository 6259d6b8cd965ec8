package accesslog

import (
	"encoding/hex"
	"strconv"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
)

// appendText writes a line of 21 words with one blank between each two, in the
// order of Columns. A word that has no value is "-".
func appendText(b []byte, e *entry) []byte {
	b = append(b, e.time...)
	b = word(b, e.Method)
	b = word(b, e.Authority)
	b = appendToken(append(b, ' '), e.path, maxPath)
	version := e.Version.String()
	if e.Protocol == metrics.ProtocolTCP {
		version = ""
	}
	b = word(b, version)
	b = word(b, e.Protocol.String())
	b = strconv.AppendInt(append(b, ' '), int64(e.Status), 10)
	grpc := ""
	if e.Protocol == metrics.ProtocolGRPC {
		grpc = metrics.GRPC(e.GRPCStatus).String()
	}
	b = word(b, grpc)
	b = strconv.AppendInt(append(b, ' '), e.BytesIn, 10)
	b = strconv.AppendInt(append(b, ' '), e.BytesOut, 10)
	b = appendMillis(append(b, ' '), e.duration)
	b = word(b, e.Upstream)
	b = word(b, e.Cluster)
	b = strconv.AppendInt(append(b, ' '), int64(e.Attempts), 10)
	b = word(b, e.Route)
	b = word(b, e.Listener)
	b = append(b, ' ')
	if e.Client.IsValid() {
		b = appendClient(b, e.Client)
	} else {
		b = append(b, '-')
	}
	b = word(b, e.Peer)
	b = append(b, ' ')
	if e.Trace.Valid() {
		b = hex.AppendEncode(b, e.Trace.Trace[:])
	} else {
		b = append(b, '-')
	}
	b = append(b, ' ')
	if e.Flags != 0 {
		b = e.Flags.Append(b)
	} else {
		b = append(b, '-')
	}
	b = word(b, e.UserAgent)
	return append(b, '\n')
}

func word(b []byte, s string) []byte { return appendToken(append(b, ' '), s, maxValue) }

// Columns are the names of the words of a text line.
func Columns() []string {
	return []string{
		"time", "method", "authority", "path", "version", "protocol", "status", "grpc_status",
		"bytes_in", "bytes_out", "duration_ms", "upstream", "cluster", "attempts", "route",
		"listener", "client", "peer", "trace_id", "flags", "user_agent",
	}
}
