package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []int64
		want   int64
	}{
		{"one", []int64{7}, 7},
		{"odd", []int64{9, 1, 5}, 5},
		{"even", []int64{4, 1, 9, 2}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.values); got != tt.want {
				t.Errorf("median(%v) = %d, want %d", tt.values, got, tt.want)
			}
		})
	}
}

func TestParseRollup(t *testing.T) {
	p, err := parseRollup(strings.NewReader("00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss:   2048 kB\nPss:  1024 kB\nPss_Anon:  9 kB\n"))
	if err != nil || p.RSS != 2<<20 || p.PSS != 1<<20 {
		t.Errorf("parseRollup = %+v, %v", p, err)
	}
	for _, text := range []string{"", "Rss: many kB\n"} {
		if _, err := parseRollup(strings.NewReader(text)); err == nil {
			t.Errorf("parseRollup(%q) gave no error", text)
		}
	}
}

func TestParseStat(t *testing.T) {
	comm, parent := parseStat("12 (a (b) c) S 7 12 12")
	if comm != "a (b) c" || parent != 7 {
		t.Errorf("parseStat = %q, %d", comm, parent)
	}
	if comm, parent := parseStat("nonsense"); comm != "" || parent != 0 {
		t.Errorf("parseStat of nonsense = %q, %d", comm, parent)
	}
}

func TestMemoryOfNothing(t *testing.T) {
	if _, err := memoryOf(t.TempDir()); err == nil {
		t.Error("a folder without a server has memory")
	}
}

func TestAnyReady(t *testing.T) {
	const list = `{"items":[{"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-02T03:04:05Z"}]}}]}`
	began := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	if !anyReady([]byte(list), began) {
		t.Error("a report in the second of the start does not count")
	}
	if anyReady([]byte(list), began.Add(time.Second)) {
		t.Error("a report of the run before counts")
	}
	if anyReady([]byte(strings.Replace(list, `"True"`, `"False"`, 1)), began) {
		t.Error("a node that is not ready counts")
	}
}

func TestSumMetric(t *testing.T) {
	const text = "# HELP a text\na{x=\"1 }\"} 2\na 3 1700000000\nab 9\n"
	if got := sumMetric([]byte(text), "a"); got != 5 {
		t.Errorf("sumMetric = %v, want 5", got)
	}
}

// run makes a report of clusters that all took as long and held as much.
func run(apiReady, rssBytes int64) *report {
	r := &report{Runs: 1}
	m := measured{
		times:  map[string]int64{"apiReady": apiReady, "shopServing": 20_000},
		memory: memory{{"server", rssBytes, rssBytes}, {"shim", 1, 1}, {"shim", 1, 1}},
	}
	r.add(false, m)
	r.add(true, m)
	r.judge()
	return r
}

func TestTargets(t *testing.T) {
	if r := run(3000, 300_000_000); !r.met() {
		t.Errorf("targets = %+v, want all met", r.Targets)
	}
	if r := run(10_001, 300_000_000); r.met() {
		t.Error("a slow API server meets its target")
	}
	if r := run(3000, 449_999_999); r.met() {
		t.Error("the shims do not count")
	}
	empty := &report{}
	if empty.judge(); empty.met() {
		t.Error("what was not measured meets its target")
	}
}

func TestWrite(t *testing.T) {
	r := run(3000, 300_000_000)
	var table, text bytes.Buffer
	if err := r.write(&table, "table"); err != nil || !strings.Contains(table.String(), "300.0 MB") || !strings.Contains(table.String(), "3.00 s") {
		t.Errorf("table: %v\n%s", err, table.String())
	}
	if err := r.write(&text, "json"); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil || len(back.Figures) != len(r.Figures) || len(back.Targets) != len(promises()) {
		t.Errorf("JSON: %v\n%s", err, text.String())
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{{"-o", "yaml"}, {"-n", "0"}, {"-bin", t.TempDir() + "/none"}, {"-x"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
