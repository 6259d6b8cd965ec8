package route

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	const refused = ""
	for in, want := range map[string]string{
		"/":                       "/",
		"*":                       "*",
		"/a/b/":                   "/a/b/",
		"/a//b":                   "/a//b",
		"//":                      "//",
		"/a?b=../%00x/..":         "/a?b=../%00x/..",
		"/?/../..":                "/?/../..",
		"/a/./b":                  "/a/b",
		"/./a":                    "/a",
		"/a/.":                    "/a/",
		"/a/b/..":                 "/a/",
		"/a/b/../c?q":             "/a/c?q",
		"/a/..":                   "/",
		"/a//../b":                "/a/b",
		"/a/../../b":              refused,
		"/..":                     refused,
		"/../a":                   refused,
		"/.../..a/a..":            "/.../..a/a..",
		"/.well-known/x":          "/.well-known/x",
		"/a/%2e%2E/b":             "/b",
		"/a/.%2e/b":               "/b",
		"/%2e":                    "/",
		"/%2e%2e/b":               refused,
		"/%61dmin":                "/admin",
		"/%7Euser/%41%5f%2d":      "/~user/A_-",
		"/caf%c3%a9":              "/caf%C3%A9",
		"/a%2fb":                  "/a%2Fb",
		"/a%2Fb":                  "/a%2Fb",
		"/a%20b":                  "/a%20b",
		"/a%252e%252e/b":          "/a%252e%252e/b",
		"/a/%252e%252e/b":         "/a/%252e%252e/b",
		"/%25%32%65":              "/%252e",
		"/a/..%2fb":               refused,
		"/a%2f..":                 refused,
		"/a%5c..%5Cb":             refused,
		`/a/..\b`:                 refused,
		`/a\..`:                   refused,
		`/a\b`:                    `/a\b`,
		"/a%5cb.c":                "/a%5Cb.c",
		"/a/..;/b":                refused,
		"/a/..;x=1":               refused,
		"/a/.;":                   refused,
		"/a/b;x=..":               "/a/b;x=..",
		"/a\x00":                  refused,
		"/a?\x00":                 refused,
		"/a%00":                   refused,
		"/a%zz":                   refused,
		"/a%":                     refused,
		"/a%4":                    refused,
		"/%%32%65":                refused,
		"a":                       refused,
		"http://a/b":              refused,
		"?x":                      refused,
		"/a/b/c/d/../../../../..": refused,
		"/a/b/c/d/../../../..":    "/",
	} {
		got, err := Normalize(in)
		if want == refused {
			if !errors.Is(err, ErrPath) {
				t.Errorf("%q is %q, %v, want it refused", in, got, err)
			}
			continue
		}
		if got != want || err != nil {
			t.Errorf("%q is %q, %v, want %q", in, got, err, want)
		}
	}
	if got, err := Normalize(""); got != "" || err != nil {
		t.Errorf("empty is %q, %v", got, err)
	}
}

func TestNormalizeAllocates(t *testing.T) {
	for _, in := range []string{"/team/service/list?page=2", "/a//b", "/a%20b%C3%BC.html", "/.well-known/acme", "/a%2Fb.c;v=1", "*"} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := Normalize(in); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%q takes %v allocations", in, n)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2e/%2F", "/a//./..;x", "/%%32", `/\..`, "/a?/../%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := Normalize(in)
		if err != nil {
			if !errors.Is(err, ErrPath) || got != "" {
				t.Fatalf("%q is %q, %v", in, got, err)
			}
			return
		}
		if again, err := Normalize(got); again != got || err != nil {
			t.Fatalf("%q is %q, and that is %q, %v", in, got, again, err)
		}
		if !strings.HasPrefix(got, "/") {
			return
		}
		inPath, inQuery, _ := strings.Cut(in, "?")
		gotPath, gotQuery, _ := strings.Cut(got, "?")
		if inQuery != gotQuery {
			t.Fatalf("query %q became %q", inQuery, gotQuery)
		}
		// However a backend reads it, nothing is left to climb with.
		decoded, err := url.PathUnescape(gotPath)
		if err != nil {
			t.Fatalf("%q is %q, which cannot be decoded", in, got)
		}
		if strings.Contains(gotPath, "%25") {
			return // what is encoded twice is data
		}
		for _, segment := range strings.FieldsFunc(decoded, func(r rune) bool { return r == '/' || r == '\\' }) {
			segment, _, _ = strings.Cut(segment, ";")
			if segment == "." || segment == ".." {
				t.Fatalf("%q is %q, which has a dot segment", in, got)
			}
		}
		// An independent resolver agrees, where it keeps what we keep.
		want, err := url.PathUnescape(inPath)
		if err == nil && !strings.Contains(decoded, "//") && !strings.Contains(want, "//") {
			if clean := path.Clean(want); clean != path.Clean(decoded) {
				t.Fatalf("%q is %q, want %q", in, decoded, clean)
			}
		}
	})
}
