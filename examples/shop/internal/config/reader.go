package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader takes settings out of the environment and collects what is wrong.
type reader struct {
	environ  map[string]string
	read     []setting
	problems []error
}

// setting is a variable that was read, with its default.
type setting struct{ name, byDefault string }

// span is an inclusive range.
type span[T cmp.Ordered] struct{ min, max T }

func newReader(environ []string) *reader {
	r := &reader{environ: make(map[string]string)}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			r.environ[name] = value
		}
	}
	return r
}

func (r *reader) fail(name, value, want string) {
	r.problems = append(r.problems, fmt.Errorf("%s=%q: %s", name, value, want))
}

// text returns the value, or the default where none or an empty one is set.
func (r *reader) text(name, byDefault string) string {
	r.read = append(r.read, setting{name, byDefault})
	if value := r.environ[name]; value != "" {
		return value
	}
	return byDefault
}

func (r *reader) choice(name, byDefault string, choices ...string) string {
	value := r.text(name, byDefault)
	if !slices.Contains(choices, value) {
		r.fail(name, value, "want one of "+strings.Join(choices, ", "))
	}
	return value
}

// address is where to listen: the host may be missing, the port may be 0.
func (r *reader) address(name, byDefault string) string {
	value := r.text(name, byDefault)
	if _, port, err := net.SplitHostPort(value); err != nil || !isPort(port, 0) {
		r.fail(name, value, "want HOST:PORT or :PORT, such as "+byDefault)
	}
	return value
}

// target is where to connect.
func (r *reader) target(name, byDefault string) string {
	value := r.text(name, byDefault)
	if host, port, err := net.SplitHostPort(value); err != nil || host == "" || !isPort(port, 1) {
		r.fail(name, value, "want HOST:PORT, such as "+byDefault)
	}
	return value
}

func isPort(s string, lowest int) bool {
	port, err := strconv.Atoi(s)
	return err == nil && port >= lowest && port <= 65535
}

// url is a base URL without a path.
func (r *reader) url(name, byDefault, scheme string) string {
	value := strings.TrimSuffix(r.text(name, byDefault), "/")
	parsed, err := url.Parse(value)
	if err != nil || parsed.Scheme != scheme || parsed.Hostname() == "" || parsed.Path != "" || parsed.RawQuery != "" {
		r.fail(name, value, fmt.Sprintf("want %s://HOST:PORT, such as %s", scheme, byDefault))
	}
	return value
}

func (r *reader) duration(name string, byDefault time.Duration, in span[time.Duration]) time.Duration {
	return number(r, name, byDefault, in, time.ParseDuration)
}

func (r *reader) integer(name string, byDefault int, in span[int]) int {
	return number(r, name, byDefault, in, strconv.Atoi)
}

func (r *reader) number(name string, byDefault float64, in span[float64]) float64 {
	parse := func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }
	return number(r, name, byDefault, in, parse)
}

func number[T cmp.Ordered](r *reader, name string, byDefault T, in span[T], parse func(string) (T, error)) T {
	text := r.text(name, fmt.Sprint(byDefault))
	value, err := parse(text)
	// Written so that NaN, which compares with nothing, is refused.
	if err != nil || !(value >= in.min && value <= in.max) {
		r.fail(name, text, fmt.Sprintf("want a value from %v to %v, such as %v", in.min, in.max, byDefault))
		return byDefault
	}
	return value
}
