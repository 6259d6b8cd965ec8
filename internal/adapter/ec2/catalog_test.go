package ec2_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tatami-platform/tatami/internal/adapter/ec2"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

const region = "eu-west-1"

// server speaks the wire protocols of both APIs with answers as AWS sends them.
// An action that is in broken answers with that instead.
type server struct {
	t      *testing.T
	broken map[string]string
	forms  []url.Values
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIDTEST/") {
		s.t.Errorf("the request is not signed: %v", r.Header)
	}
	action, file := "", ""
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		action, file = "GetProducts", "GetProducts.json"
		if !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/pricing/") || !strings.Contains(string(body), `"eu-west-1"`) {
			s.t.Errorf("the price list is asked wrongly: %s %s", r.Header.Get("Authorization"), body)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	} else {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			s.t.Error(err)
		}
		s.forms = append(s.forms, form)
		action = form.Get("Action")
		file = action + ".xml"
		if action == "DescribeInstanceTypes" {
			file = map[string]string{"": action + ".1.xml", "page-2": action + ".2.xml"}[form.Get("NextToken")]
		}
		w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	}
	if answer, ok := s.broken[action]; ok {
		w.WriteHeader(http.StatusForbidden)
		if _, err := io.WriteString(w, answer); err != nil {
			s.t.Error(err)
		}
		return
	}
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		s.t.Error(err)
	}
	if _, err := w.Write(content); err != nil {
		s.t.Error(err)
	}
}

// quiet is a progress that keeps the names of its steps.
type quiet struct{ steps []string }

func (q *quiet) Step(name string) { q.steps = append(q.steps, name) }
func (q *quiet) Detail(string)    {}
func (q *quiet) Note(string)      {}
func (q *quiet) Done()            {}

func adapter(t *testing.T, broken map[string]string) (ec2.Catalog, *server) {
	t.Helper()
	s := &server{t: t, broken: broken}
	http := httptest.NewServer(s)
	t.Cleanup(http.Close)
	return ec2.Catalog{
		Now:      func() time.Time { return time.Date(2026, time.November, 2, 10, 0, 0, 0, time.UTC) },
		Endpoint: http.URL,
		Options: []func(*config.LoadOptions) error{
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")),
			config.WithRetryMaxAttempts(1), config.WithSharedConfigFiles([]string{}), config.WithSharedCredentialsFiles([]string{}),
		},
	}, s
}

func TestRefresh(t *testing.T) {
	a, s := adapter(t, nil)
	base := catalog.Builtin()
	var p quiet
	b, err := a.Refresh(t.Context(), base, region, &p)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.steps) != 6 {
		t.Errorf("steps %q", p.steps)
	}
	if got := s.forms[0].Get("Version"); got != "2016-11-15" {
		t.Errorf("version %q", got)
	}

	// What EC2 says is what the built-in table says, and the clock besides.
	for name, clock := range map[string]int{"m7g.large": 2600, "g6e.24xlarge": 3600, "inf2.8xlarge": 2950} {
		got, _ := b.Shape(name)
		want, _ := base.Shape(name)
		if d := cmp.Diff(want, got, cmpopts.IgnoreFields(catalog.Shape{}, "ClockMHz")); d != "" {
			t.Errorf("%s: -built-in +refreshed\n%s", name, d)
		}
		if got.ClockMHz != clock {
			t.Errorf("%s has %d MHz, want %d", name, got.ClockMHz, clock)
		}
	}
	if len(b.Shapes()) != len(base.Shapes()) {
		t.Errorf("%d shapes, want %d", len(b.Shapes()), len(base.Shapes()))
	}

	tests := []struct {
		name string
		want catalog.Price
	}{
		{"m7g.large", catalog.Price{
			OnDemand: 91_000_000, Saving: 55, Band: base.Price("m7g.large", region).Band,
			Zones: map[string]unit.NanoUSD{"eu-west-1a": 36_400_000, "eu-west-1b": 45_500_000},
		}},
		{"g6e.24xlarge", catalog.Price{
			OnDemand: 16_813_200_000, Band: catalog.BandUnknown, Zones: map[string]unit.NanoUSD{"eu-west-1b": 0},
		}},
		{"inf2.8xlarge", catalog.Price{}},
		{"m5.large", catalog.Price{}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, b.Price(tt.name, region)); d != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, d)
		}
	}
	if d := cmp.Diff(base.Price("m5.large", "us-east-1"), b.Price("m5.large", "us-east-1")); d != "" {
		t.Errorf("another region changed: %s", d)
	}
	r, err := b.Region(region)
	want := []catalog.Zone{{Name: "eu-west-1a", ID: "euw1-az3"}, {Name: "eu-west-1b", ID: "euw1-az1"}}
	if err != nil || !cmp.Equal(r.Zones, want) || r.Title != "Ireland" || r.OnDemand.Approximate || r.OnDemand.AsOf.Day() != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	offers, err := b.Offerings(catalog.Query{Region: region})
	if err != nil || len(offers) != 5 {
		t.Errorf("%d offerings, %v; want 5", len(offers), err)
	}
}

const denied = `<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>1</RequestID></Response>`

func TestRefreshFails(t *testing.T) {
	tests := []struct{ name, action, answer, what, next string }{
		{
			"not allowed", "DescribeInstanceTypes", denied,
			"ec2:DescribeInstanceTypes in eu-west-1: UnauthorizedOperation: You are not authorized to perform this operation.",
			"allow the action ec2:DescribeInstanceTypes",
		},
		{
			"expired", "DescribeAvailabilityZones", strings.ReplaceAll(denied, "UnauthorizedOperation", "AuthFailure"),
			"ec2:DescribeAvailabilityZones in eu-west-1: AuthFailure: You are", "log in again",
		},
		{
			"throttled", "DescribeSpotPriceHistory", strings.ReplaceAll(denied, "UnauthorizedOperation", "RequestLimitExceeded"),
			"ec2:DescribeSpotPriceHistory in eu-west-1: RequestLimitExceeded", "wait a minute",
		},
		{
			"price list", "GetProducts", `{"__type":"AccessDeniedException","Message":"no"}`,
			"pricing:GetProducts in eu-west-1: AccessDeniedException: no", "allow the action pricing:GetProducts",
		},
		{"nonsense", "DescribeInstanceTypeOfferings", "<html>", "ec2:DescribeInstanceTypeOfferings in eu-west-1: ", "check the name of the region"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := adapter(t, map[string]string{tt.action: tt.answer})
			_, err := a.Refresh(t.Context(), catalog.Builtin(), region, &quiet{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.what) || !strings.Contains(control.NextStep(err), tt.next) {
				t.Errorf("%v\nnext: %s", err, control.NextStep(err))
			}
		})
	}
}

func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	_, err := ec2.Catalog{Now: time.Now}.Refresh(t.Context(), catalog.Builtin(), region, &quiet{})
	if err == nil || !strings.HasPrefix(err.Error(), "there are no AWS credentials: ") || !strings.Contains(control.NextStep(err), "aws sso login") {
		t.Errorf("%v\nnext: %s", err, control.NextStep(err))
	}
}

func TestInterrupted(t *testing.T) {
	a, _ := adapter(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Refresh(ctx, catalog.Builtin(), region, &quiet{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context canceled", err)
	}
}
