package message

// ID names a field that the proxy treats specially, so that it is compared by a
// number and not by text.
type ID uint8

// The known names; IDOther is any other.
const (
	IDOther ID = iota
	IDAuthorization
	IDConnection
	IDContentLength
	IDContentType
	IDCookie
	IDDate
	IDExpect
	IDForwarded
	IDGRPCMessage
	IDGRPCStatus
	IDGRPCTimeout
	IDHost
	IDHTTP2Settings
	IDKeepAlive
	IDLocation
	IDOrigin
	IDProxyAuthenticate
	IDProxyAuthorization
	IDProxyConnection
	IDRetryAfter
	IDServer
	IDSetCookie
	IDTE
	IDTraceparent
	IDTracestate
	IDTrailer
	IDTransferEncoding
	IDUpgrade
	IDUserAgent
	IDVia
	IDXForwardedFor
	IDXForwardedHost
	IDXForwardedProto
	IDXRequestID
)

// Lookup finds the ID of a name in any case.
func Lookup(name string) ID {
	// By length first: most names of a request differ in it, and the switch is
	// a jump table.
	for _, c := range candidates(len(name)) {
		if EqualFold(name, c.name) {
			return c.id
		}
	}
	return IDOther
}

// HopByHop says that a field concerns one connection and is never passed on.
func (id ID) HopByHop() bool {
	switch id {
	case IDConnection, IDKeepAlive, IDProxyConnection, IDTE, IDTransferEncoding, IDUpgrade, IDHTTP2Settings:
		return true
	default:
		return false
	}
}

type known struct {
	name string
	id   ID
}

func candidates(length int) []known {
	if length >= len(byLength) {
		return nil
	}
	return byLength[length]
}

//nolint:gochecknoglobals // a table that nobody writes
var byLength = [...][]known{
	2:  {{"te", IDTE}},
	3:  {{"via", IDVia}},
	4:  {{"host", IDHost}, {"date", IDDate}},
	6:  {{"cookie", IDCookie}, {"expect", IDExpect}, {"origin", IDOrigin}, {"server", IDServer}},
	7:  {{"upgrade", IDUpgrade}, {"trailer", IDTrailer}},
	8:  {{"location", IDLocation}},
	9:  {{"forwarded", IDForwarded}},
	10: {{"connection", IDConnection}, {"user-agent", IDUserAgent}, {"set-cookie", IDSetCookie}, {"keep-alive", IDKeepAlive}, {"tracestate", IDTracestate}},
	11: {{"grpc-status", IDGRPCStatus}, {"retry-after", IDRetryAfter}, {"traceparent", IDTraceparent}},
	12: {{"content-type", IDContentType}, {"grpc-timeout", IDGRPCTimeout}, {"grpc-message", IDGRPCMessage}, {"x-request-id", IDXRequestID}},
	13: {{"authorization", IDAuthorization}},
	14: {{"content-length", IDContentLength}, {"http2-settings", IDHTTP2Settings}},
	15: {{"x-forwarded-for", IDXForwardedFor}},
	16: {{"proxy-connection", IDProxyConnection}, {"x-forwarded-host", IDXForwardedHost}},
	17: {{"transfer-encoding", IDTransferEncoding}, {"x-forwarded-proto", IDXForwardedProto}},
	18: {{"proxy-authenticate", IDProxyAuthenticate}},
	19: {{"proxy-authorization", IDProxyAuthorization}},
}
