package http2

// Indexes of the static table (RFC 7541 appendix A) that heads are begun with.
const (
	staticMethodGET     = 2
	staticMethodPOST    = 3
	staticPathRoot      = 4
	staticSchemeHTTP    = 6
	staticSchemeHTTPS   = 7
	staticStatus200     = 8
	staticContentLength = 28
)

type staticEntry struct {
	name  string
	index uint32
}

// staticName is the index of a field's name in the static table, or 0.
func staticName(name string) uint32 {
	if len(name) >= len(staticNames) {
		return 0
	}
	for _, e := range staticNames[len(name)] {
		if e.name == name {
			return e.index
		}
	}
	return 0
}

// staticPair is the index of the only entry that names a whole field and not a
// pseudo-header, or 0.
func staticPair(name, value string) uint32 {
	if len(name) == len("accept-encoding") && name == "accept-encoding" && value == "gzip, deflate" {
		return 16
	}
	return 0
}

//nolint:gochecknoglobals // RFC 7541 appendix A by length of the name
var staticNames = [...][]staticEntry{
	3:  {{"age", 21}, {"via", 60}},
	4:  {{"date", 33}, {"etag", 34}, {"from", 37}, {"host", 38}, {"link", 45}, {"vary", 59}},
	5:  {{":path", 4}, {"allow", 22}, {"range", 50}},
	6:  {{"accept", 19}, {"cookie", 32}, {"expect", 35}, {"server", 54}},
	7:  {{":method", 2}, {":scheme", 6}, {":status", 8}, {"expires", 36}, {"referer", 51}, {"refresh", 52}},
	8:  {{"if-match", 39}, {"if-range", 42}, {"location", 46}},
	10: {{":authority", 1}, {"set-cookie", 55}, {"user-agent", 58}},
	11: {{"retry-after", 53}},
	12: {{"content-type", 31}, {"max-forwards", 47}},
	13: {{"accept-ranges", 18}, {"authorization", 23}, {"cache-control", 24}, {"content-range", 30}, {"if-none-match", 41}, {"last-modified", 44}},
	14: {{"accept-charset", 15}, {"content-length", 28}},
	15: {{"accept-encoding", 16}, {"accept-language", 17}},
	16: {{"content-encoding", 26}, {"content-language", 27}, {"content-location", 29}, {"www-authenticate", 61}},
	17: {{"if-modified-since", 40}, {"transfer-encoding", 57}},
	18: {{"proxy-authenticate", 48}},
	19: {{"content-disposition", 25}, {"if-unmodified-since", 43}, {"proxy-authorization", 49}},
	25: {{"strict-transport-security", 56}},
	27: {{"access-control-allow-origin", 20}},
}
