package metrics

// Protocol is what a request was, for its labels.
type Protocol uint8

// The protocols. gRPC is counted by its own status and not as HTTP/2.
const (
	ProtocolHTTP1 Protocol = iota
	ProtocolHTTP2
	ProtocolGRPC
	ProtocolTCP
	protocols
)

// String is the value of the label.
func (p Protocol) String() string {
	switch p {
	case ProtocolHTTP2:
		return "http2"
	case ProtocolGRPC:
		return "grpc"
	case ProtocolTCP:
		return "tcp"
	default:
		return "http1"
	}
}

// Code is how a request ended, coarse enough for a label: the class of an HTTP
// status, or a gRPC status.
type Code uint8

// CodeNone is for requests that got no answer, and for TCP.
const CodeNone Code = 0

const (
	grpcBase   = 6
	grpcLast   = 16
	grpcOther  = 2 // UNKNOWN, as the gRPC specification has it for what is not defined
	codeValues = grpcBase + grpcLast + 1
)

// HTTP is the class of a status; CodeNone for what is not a status.
func HTTP(status int) Code {
	if status < 100 || status > 599 {
		return CodeNone
	}
	return Code(status / 100)
}

// GRPC is a gRPC status; what is not defined counts as UNKNOWN.
func GRPC(status int) Code {
	if status < 0 || status > grpcLast {
		status = grpcOther
	}
	return Code(grpcBase + status)
}

// ServerError says whether the code is the server's fault: 5xx, or the gRPC
// statuses that OpenTelemetry's conventions count as errors of a server.
func (c Code) ServerError() bool {
	switch c {
	case 5, grpcBase + 2, grpcBase + 4, grpcBase + 12, grpcBase + 13, grpcBase + 14, grpcBase + 15:
		return true
	default:
		return false
	}
}

// String is the value of the label: "2xx", "none", "UNAVAILABLE".
func (c Code) String() string {
	if int(c) >= len(codeNames) {
		return codeNames[CodeNone]
	}
	return codeNames[c]
}

//nolint:gochecknoglobals // a table that nobody writes
var codeNames = [codeValues]string{
	"none", "1xx", "2xx", "3xx", "4xx", "5xx",
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
	"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}
