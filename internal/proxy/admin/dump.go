package admin

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// redacted stands for what must not leave the process.
const redacted = "[redacted]"

// enums are the names of the values of connect's enumerations, from 0 on.
//
//nolint:gochecknoglobals // a table that nobody writes
var enums = map[reflect.Type][]string{
	reflect.TypeFor[connect.LogMode]():          {"errors", "off", "all"},
	reflect.TypeFor[connect.LogFormat]():        {"json", "text"},
	reflect.TypeFor[connect.Protocol]():         {"http", "https", "tls", "tcp"},
	reflect.TypeFor[connect.ClientAuth]():       {"none", "optional", "require", "insecure"},
	reflect.TypeFor[connect.UpstreamProtocol](): {"auto", "http1", "http2"},
	reflect.TypeFor[connect.Policy]():           {"ewma", "round-robin", "least-request", "ring-hash", "random"},
	reflect.TypeFor[connect.CheckProtocol]():    {"http", "grpc", "tcp"},
	reflect.TypeFor[connect.PathKind]():         {"prefix", "exact", "regex"},
	reflect.TypeFor[connect.ValueKind]():        {"exact", "regex", "present", "prefix", "suffix", "range"},
	reflect.TypeFor[connect.ReplaceKind]():      {"none", "full", "prefix"},
}

// Dump writes a configuration as JSON, for a person: zero values are left out,
// enumerations have names, and private keys and the values of fields that carry
// credentials are redacted.
func Dump(c *connect.Config) []byte {
	var d dumper
	d.value(reflect.ValueOf(c))
	var out bytes.Buffer
	if err := json.Indent(&out, d.b, "", "  "); err != nil {
		return d.b // never seen: a test holds that the dump is JSON
	}
	out.WriteByte('\n')
	return out.Bytes()
}

type dumper struct{ b []byte }

func (d *dumper) value(v reflect.Value) {
	if names := enums[v.Type()]; names != nil {
		d.enum(v, names)
		return
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		d.text(value.String())
		return
	case time.Time:
		d.text(value.UTC().Format(time.RFC3339Nano))
		return
	case []byte:
		d.text(string(value))
		return
	}
	d.kind(v)
}

func (d *dumper) kind(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			d.b = append(d.b, "null"...)
			return
		}
		d.value(v.Elem())
	case reflect.Struct:
		d.structure(v)
	case reflect.Slice:
		d.b = append(d.b, '[')
		for i := range v.Len() {
			d.comma(i)
			d.value(v.Index(i))
		}
		d.b = append(d.b, ']')
	case reflect.String:
		d.text(v.String())
	case reflect.Bool:
		d.b = strconv.AppendBool(d.b, v.Bool())
	default:
		d.b = appendNumber(d.b, v)
	}
}

func appendNumber(b []byte, v reflect.Value) []byte {
	if v.CanInt() {
		return strconv.AppendInt(b, v.Int(), 10)
	}
	if v.CanUint() {
		return strconv.AppendUint(b, v.Uint(), 10)
	}
	return append(b, "null"...) // never seen: a test holds that no such kind exists
}

func (d *dumper) enum(v reflect.Value, names []string) {
	if n := v.Uint(); n < uint64(len(names)) {
		d.text(names[n])
		return
	}
	d.b = strconv.AppendUint(d.b, v.Uint(), 10)
}

func (d *dumper) structure(v reflect.Value) {
	d.b = append(d.b, '{')
	n := 0
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		if field.Type == reflect.TypeFor[netip.AddrPort]() || value.IsZero() && enums[field.Type] == nil {
			continue // the address stands beside its parsed form
		}
		d.comma(n)
		n++
		d.text(lowerCamel(field.Name))
		d.b = append(d.b, ':')
		if secret, ok := mask(v, field.Name); ok {
			d.text(secret)
			continue
		}
		d.value(value)
	}
	d.b = append(d.b, '}')
}

// mask says what is shown instead of a field that may hold a secret.
func mask(owner reflect.Value, name string) (string, bool) {
	switch o := owner.Interface().(type) {
	case connect.Certificate:
		return redacted, name == "KeyPEM"
	case connect.HeaderValue:
		return redacted, name == "Value" && sensitive(o.Name)
	case connect.ValueMatch:
		return redacted, name == "Value" && sensitive(o.Name)
	case connect.Tracing:
		if name != "Endpoint" {
			return "", false
		}
		u, err := url.Parse(o.Endpoint)
		if err != nil {
			return redacted, true
		}
		if u.RawQuery != "" {
			u.RawQuery = "redacted"
		}
		return u.Redacted(), true
	default:
		return "", false
	}
}

// sensitive are the names of fields and parameters whose values are credentials.
func sensitive(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "api_key", "credential", "signature"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func (d *dumper) comma(n int) {
	if n > 0 {
		d.b = append(d.b, ',')
	}
}

func (d *dumper) text(s string) {
	quoted, err := json.Marshal(s)
	if err != nil {
		quoted = []byte(`""`) // a string always has a form in JSON
	}
	d.b = append(d.b, quoted...)
}

// lowerCamel turns a Go name into one of JSON: MaxURIBytes is maxURIBytes, TLS is
// tls, ALPNProtocols is alpnProtocols.
func lowerCamel(name string) string {
	runes := []rune(name)
	for i := range runes {
		if !unicode.IsUpper(runes[i]) || i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}
