package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tatami-platform/tatami/internal/control"
)

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		bytes int64
		want  string
	}{
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{102_400, "100 KiB"},
		{1<<20 - 1, "1.0 MiB"},
		{327_155_712, "312 MiB"},
		{450 << 20, "450 MiB"},
		{1 << 30, "1.0 GiB"},
		{99<<30 + 900<<20, "99.9 GiB"},
		{99<<30 + 990<<20, "100 GiB"},
		{1<<63 - 1, "8.0 EiB"},
	} {
		if got := size(tt.bytes); got != tt.want {
			t.Errorf("%d: %q, want %q", tt.bytes, got, tt.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for _, tt := range []struct {
		d           time.Duration
		tenth, full string
	}{
		{0, "0.0s", "0s"},
		{40 * time.Millisecond, "0.0s", "0s"},
		{3140 * time.Millisecond, "3.1s", "3s"},
		{59*time.Second + 940*time.Millisecond, "59.9s", "59s"},
		{59*time.Second + 960*time.Millisecond, "1m00s", "59s"},
		{65 * time.Second, "1m05s", "1m05s"},
		{2*time.Hour + 3*time.Minute, "2h03m", "2h03m"},
	} {
		if got := seconds(tt.d); got != tt.tenth {
			t.Errorf("seconds(%s): %q, want %q", tt.d, got, tt.tenth)
		}
		if got := wholeSeconds(tt.d); got != tt.full {
			t.Errorf("wholeSeconds(%s): %q, want %q", tt.d, got, tt.full)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1204: "1,204", 123456: "123,456", 1234567: "1,234,567",
		-999: "-999", -1000: "-1,000", -123456: "-123,456",
	} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestPodText(t *testing.T) {
	for _, tt := range []struct {
		name string
		pods map[string]int
		want string
	}{
		{"none", nil, "none"},
		{"zeros", map[string]int{"Running": 0}, "none"},
		{"in the order of life", map[string]int{"Failed": 1, "Running": 3, "Pending": 2}, "2 pending, 3 running, 1 failed"},
		{"unknown words last", map[string]int{"Weird": 1, "Odd": 1, "Unknown": 1}, "1 unknown, 1 odd, 1 weird"},
	} {
		if got := podText(Console{}, tt.pods); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRows(t *testing.T) {
	var out bytes.Buffer
	printRows(Console{Writer: &out}, []row{{"a", []string{"1", "2"}}, {"größe", []string{"3"}}, {"b", nil}})
	want := "  a      1\n         2\n  größe  3\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatusRowsLeaveOutWhatIsUnknown(t *testing.T) {
	var labels []string
	for _, r := range statusRows(Console{}, control.Status{Name: "tatami", State: control.StateStarting}) {
		labels = append(labels, r.label)
	}
	if diff := cmp.Diff([]string{"nodes", "pods"}, labels); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatusJSONRoundTrip(t *testing.T) {
	want := control.Status{
		Name: "tatami", State: control.StateRunning, Nodes: []control.Node{{Name: "n", Kind: control.KindReal}},
		Pods: map[string]int{"Running": 1}, URLs: map[string]string{"api": "https://127.0.0.1:6443/?a=1&b=2"},
		Shop: &control.Shop{OrdersProcessed: 7},
	}
	var out bytes.Buffer
	if err := printStatusJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "a=1&b=2") {
		t.Errorf("the URL was escaped: %s", out.String())
	}
	var got control.Status
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/var/lib": "/var/lib", "/my data": "'/my data'", "/it's": `'/it'\''s'`, "/$HOME": "'/$HOME'",
	} {
		if got := quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// walk calls fn for each documented command.
func walk(cmd *cobra.Command, fn func(*cobra.Command)) {
	fn(cmd)
	for _, c := range Verbs(cmd) {
		walk(c, fn)
	}
}

func TestEveryVerbIsDocumented(t *testing.T) {
	seen := 0
	walk(Root(Deps{Name: "tatami"}), func(cmd *cobra.Command) {
		seen++
		if cmd.Short == "" || cmd.Long == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short %q, long %q", cmd.CommandPath(), cmd.Short, cmd.Long)
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: no example of it in %q", cmd.CommandPath(), cmd.Example)
		}
		for line := range strings.SplitSeq(cmd.Long, "\n") {
			if n := len([]rune(line)); n > 84 {
				t.Errorf("%s: line of %d characters: %s", cmd.CommandPath(), n, line)
			}
		}
		if cmd.HasParent() && cmd.Parent() == cmd.Root() && cmd.GroupID == "" {
			t.Errorf("%s is in no group of the start page", cmd.CommandPath())
		}
	})
	if seen != 15 {
		t.Errorf("%d commands; all of them should have a place in the order of Verbs", seen)
	}
}

func TestEveryFlagIsDocumented(t *testing.T) {
	walk(Root(Deps{Name: "tatami"}), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") || f.Hidden {
				t.Errorf("%s --%s: help %q, hidden %v", cmd.CommandPath(), f.Name, f.Usage, f.Hidden)
			}
		})
	})
}

func TestExamplesParse(t *testing.T) {
	walk(Root(Deps{Name: "tatami"}), func(cmd *cobra.Command) {
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			_, command, found := strings.Cut(line, "tatami ")
			if !found {
				continue
			}
			command, _, _ = strings.Cut(command, " >")
			words := strings.Fields(strings.Trim(command, ")'"))
			verb, rest, err := Root(Deps{Name: "tatami"}).Find(words)
			if err != nil {
				t.Errorf("%q: %v", line, err)
				continue
			}
			if err := verb.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	})
}

// failing is a stream that can't be written to, like a closed pipe.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOutputThatFailsIsAnError(t *testing.T) {
	for _, args := range []string{
		"version -o json", "catalog", "catalog -o wide", "catalog -o csv", "catalog -o json", "catalog --vcpu 7",
		"catalog prices", "catalog regions",
	} {
		t.Run(args, func(t *testing.T) {
			var stderr bytes.Buffer
			d := Deps{
				Name: "tatami", Now: time.Now,
				Streams: Streams{In: strings.NewReader(""), Out: Console{Writer: failing{}}, Err: Console{Writer: &stderr}},
			}
			if code := Run(t.Context(), d, strings.Fields(args)); code != ExitError {
				t.Errorf("exit code %d", code)
			}
			if got := stderr.String(); got != "error: broken pipe\n" {
				t.Errorf("stderr %q", got)
			}
		})
	}
}

func TestInterruptedBeforeAnything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	d := Deps{
		Name: "tatami", Now: time.Now,
		Handover: func(ctx context.Context) (int, error) { return 0, ctx.Err() },
		Streams:  Streams{In: strings.NewReader(""), Out: Console{Writer: io.Discard}, Err: Console{Writer: &stderr}},
	}
	if code := Run(ctx, d, []string{"up"}); code != ExitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if !strings.HasPrefix(stderr.String(), "error: interrupted\n") {
		t.Errorf("stderr %q", stderr.String())
	}
}
