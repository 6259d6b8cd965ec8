package planview_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tatami-platform/tatami/internal/cli/planview"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/sim"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// report has something in every part: today's nodes, pending pods, spot, a load
// over time, text that wants to be markup.
func report(t *testing.T, pods int) *compare.Report {
	t.Helper()
	services, err := catalog.RegionServices("us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	s := nodestest.Snapshot(nodestest.Microservices(pods, 14, 3), nodestest.Market{ARM: true, Spot: true, MaxVCPU: 16})
	s.Pools, s.Daemons = nil, nodestest.Daemons()
	s.Demand[2].Owner.Name = `<script>alert("x")</script>|*_`
	s.Demand = append(s.Demand, workload.Group{
		Owner: workload.Ref{Kind: "Deployment", Name: "huge"}, Count: 1, Requests: unit.Resources{CPU: unit.Cores(5000), Pods: 1},
	}, workload.Group{Owner: workload.Ref{Kind: "Deployment", Name: "modest"}, Count: 1, Requests: unit.Resources{Pods: 1}})
	s.NodeGroups = []workload.NodeGroup{{Name: "today", Shapes: []string{"m5.2xlarge"}, Desired: 9}}
	full, _ := compare.Complete(*s)
	trace, err := sim.Pattern("step:2")
	if err != nil {
		t.Fatal(err)
	}
	trace.Length = 14 * time.Hour
	set := compare.Settings{Policy: nodes.Balanced(), Effort: nodes.Effort{Steps: 10}, Services: services}
	tick := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	r := compare.Run(compare.Request{
		Snapshot: &full, Entries: compare.Entries(set, nil), Arch: compare.AnyArch, SpotPercent: 70, Preset: "balanced",
		Trace: &trace, Name: `k8s & "co"`, Digest: "sha256:0", Workloads: 16,
		Clock:      func() time.Time { tick = tick.Add(time.Millisecond); return tick },
		Book:       compare.PriceBook{Name: "built-in", Sources: []catalog.Source{{Name: "price list", AsOf: tick}, {Name: "a guess", AsOf: tick, Approximate: true}}},
		NotCovered: []compare.NotCovered{{Object: workload.Ref{Kind: "Service", Name: "web"}, Field: "spec.type", Why: "it costs <money>"}},
		Errors:     []string{"the cluster refused to list nodes"},
		Tool:       compare.Tool{Name: "tatami", Version: "v0"},
	})
	return &r
}

// outputs are all that is drawn from a report.
func outputs(t *testing.T, r *compare.Report) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, width := range []int{0, 60, 80, 120} {
		var b bytes.Buffer
		planview.Table(planview.Screen{Writer: &b, Width: width, Color: width == 80}, r, width == 120)
		out["table"+strconv.Itoa(width)] = b.String()
	}
	var b bytes.Buffer
	if err := planview.CSV(&b, r); err != nil {
		t.Fatal(err)
	}
	out["csv"] = b.String()
	for _, name := range planview.Langs() {
		l, err := planview.LangNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		var page, md bytes.Buffer
		if err := errors.Join(planview.HTML(&page, r, l), planview.Markdown(&md, r, l)); err != nil {
			t.Fatal(err)
		}
		out["html "+name], out["md "+name] = page.String(), md.String()
	}
	return out
}

// TestAllOutputsAgreeToTheCent takes the price of a month of every strategy from
// each output, and compares.
func TestAllOutputsAgreeToTheCent(t *testing.T) {
	r := report(t, 80)
	names := map[string]map[string]string{"en": {}, "pt-BR": {}}
	for lang := range names {
		var texts map[string]string
		readJSON(t, "texts/"+lang+".json", &texts)
		for _, s := range r.Strategies {
			names[lang][texts["strategy-"+string(s.ID)]] = string(s.ID)
		}
	}
	english := map[string]string{}
	want := map[string]string{}
	for _, s := range r.Strategies {
		english[s.Name] = string(s.ID)
		want[string(s.ID)] = strings.ReplaceAll(s.MonthlyUSD.Cents(), ",", "")
	}
	for name, text := range outputs(t, r) {
		var got map[string]string
		switch {
		case strings.HasPrefix(name, "table"):
			got = amounts(regexp.MustCompile(`(?m)^(\S.*?) {2,}[\d,]+  +([\d,]+\.\d\d)  `), uncoloured(text), english)
		case name == "csv":
			got = fromCSV(t, text)
		case strings.HasPrefix(name, "md"):
			got = amounts(regexp.MustCompile(`(?m)^\| (.*?) \| [\d.,]+ \| (?:US)?\$ ?([\d.,]+) \|`), text, names[strings.TrimPrefix(name, "md ")])
		default:
			got = amounts(regexp.MustCompile(`<tr><th scope="row">([^<]*)</th><td class="n">[\d.,]+</td><td class="n">(?:US)?\$ ?([\d.,]+)</td>`), text, names[strings.TrimPrefix(name, "html ")])
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
}

func uncoloured(s string) string {
	return regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(s, "")
}

// amounts finds names and amounts by a pattern; Portuguese ones are rewritten.
func amounts(pattern *regexp.Regexp, text string, ids map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		id, known := ids[strings.ReplaceAll(m[1], "&#39;", "'")]
		if !known {
			continue
		}
		if _, twice := out[id]; twice {
			continue // the first table has the price of a month
		}
		digits := strings.NewReplacer(",", "", ".", "").Replace(m[2])
		out[id] = digits[:len(digits)-2] + "." + digits[len(digits)-2:]
	}
	return out
}

func fromCSV(t *testing.T, text string) map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, row := range rows[1:] {
		m, err := unit.ParseUSD(row[slices.Index(rows[0], "monthlyUSD")])
		if err != nil {
			t.Fatal(err)
		}
		out[row[0]] = strings.ReplaceAll(m.Cents(), ",", "")
	}
	return out
}

func TestPageStandsAlone(t *testing.T) {
	for _, pods := range []int{80, 4000} {
		for name, text := range outputs(t, report(t, pods)) {
			if !strings.HasPrefix(name, "html") {
				continue
			}
			if len(text) > planview.MaxPage {
				t.Errorf("%s of %d pods: %d bytes", name, pods, len(text))
			}
			for _, banned := range []string{"<script", "<link", "<img", "<iframe", "http://", "https://", "url(", "@import", "%!", "onload="} {
				if strings.Contains(text, banned) {
					i := strings.Index(text, banned)
					t.Errorf("%s has %q: %s", name, banned, text[max(0, i-80):i+40])
				}
			}
			checkTags(t, name, text)
		}
	}
}

// checkTags holds that elements are closed in order, and that pictures have
// names.
func checkTags(t *testing.T, name, text string) {
	t.Helper()
	var open []string
	for _, m := range regexp.MustCompile(`<(/?)([a-z0-9]+)([^>]*?)(/?)>`).FindAllStringSubmatch(text, -1) {
		tag := m[2]
		switch {
		case m[4] == "/" || slices.Contains([]string{"meta", "br"}, tag):
		case m[1] == "":
			open = append(open, tag)
		case len(open) == 0 || open[len(open)-1] != tag:
			t.Fatalf("%s: </%s> closes %q", name, tag, open)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%s: %q are not closed", name, open)
	}
	pictures := strings.Count(text, `<svg role="img"`)
	named := len(regexp.MustCompile(`<svg role="img"[^>]*><title>[^<]+</title>`).FindAllString(text, -1))
	if pictures == 0 || named != pictures {
		t.Errorf("%s: %d of %d pictures have a title", name, named, pictures)
	}
}

func TestEmbeddedReportIsTheReport(t *testing.T) {
	r := report(t, 80)
	page := outputs(t, r)["html en"]
	_, rest, ok := strings.Cut(page, `<pre id="plan-json" tabindex="0">`)
	if !ok {
		t.Fatal("there is none")
	}
	text, _, _ := strings.Cut(rest, "</pre>")
	unescape := strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">", "&amp;", "&")
	var got compare.Report
	if err := json.Unmarshal([]byte(unescape.Replace(text)), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*r, got); d != "" {
		t.Error(d)
	}
}

func TestMarkdownKeepsItsCells(t *testing.T) {
	r := report(t, 80)
	for name, text := range outputs(t, r) {
		if !strings.HasPrefix(name, "md") {
			continue
		}
		if !strings.HasPrefix(text, planview.Marker+"\n") {
			t.Errorf("%s does not begin with the marker", name)
		}
		if strings.Contains(text, "<script") || strings.Count(text, "<details>") != strings.Count(text, "</details>") {
			t.Errorf("%s lets text become markup:\n%s", name, text)
		}
		for line := range strings.SplitSeq(text, "\n") {
			if strings.HasPrefix(line, "| ") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 8 {
				t.Errorf("%s: cells of %q", name, line)
			}
		}
	}
}

func TestTableFitsItsWidth(t *testing.T) {
	for _, pods := range []int{80, 4000} {
		r := report(t, pods)
		for _, width := range []int{80, 100, 120} {
			var b bytes.Buffer
			planview.Table(planview.Screen{Writer: &b, Width: width}, r, false)
			for line := range strings.SplitSeq(b.String(), "\n") {
				if n := len([]rune(line)); n > width {
					t.Errorf("%d columns on %d: %s", n, width, line)
				}
			}
		}
	}
}

func TestLanguagesHaveTheSameTexts(t *testing.T) {
	all := map[string]map[string]string{}
	for _, name := range planview.Langs() {
		var texts map[string]string
		readJSON(t, "texts/"+name+".json", &texts)
		all[name] = texts
	}
	hole := regexp.MustCompile(`\{\d\}`)
	holes := func(s string) []string {
		found := hole.FindAllString(s, -1)
		slices.Sort(found)
		return slices.Compact(found)
	}
	for name, texts := range all {
		if d := cmp.Diff(slices.Sorted(maps.Keys(all["en"])), slices.Sorted(maps.Keys(texts))); d != "" {
			t.Errorf("%s: keys differ from English: %s", name, d)
		}
		for key, s := range texts {
			if s == "" {
				t.Errorf("%s: %s is empty", name, key)
			}
			if d := cmp.Diff(holes(all["en"][key]), holes(s)); d != "" {
				t.Errorf("%s: values of %s: %s", name, key, d)
			}
		}
	}
	if _, err := planview.LangNamed("fr"); err == nil {
		t.Error("French is taken")
	}
}

// TestEveryStatementIsTranslated draws a page of all codes that the engine has.
func TestEveryStatementIsTranslated(t *testing.T) {
	r := report(t, 80)
	var texts map[string]string
	readJSON(t, "texts/en.json", &texts)
	keys := map[string]bool{}
	for _, a := range r.Assumptions {
		keys["assume-"+a.Code] = true
	}
	for _, n := range compare.Uncounted() {
		keys["uncovered-"+n.Code] = true
	}
	for _, id := range compare.IDs() {
		keys["strategy-"+string(id)] = true
	}
	for _, c := range []compare.VerdictCode{compare.VerdictSaves, compare.VerdictLittle, compare.VerdictNone, compare.VerdictMore, compare.VerdictIncomplete, compare.VerdictEmpty, compare.VerdictSingle} {
		keys["verdict-"+string(c)], keys["step-"+string(c)] = true, true
	}
	for _, c := range r.Recommendations {
		keys["change-"+c.Code] = true
	}
	for key := range keys {
		if texts[key] == "" {
			t.Errorf("%s has no text", key)
		}
	}
	for name, text := range outputs(t, r) {
		if m := regexp.MustCompile(`(>|\| )(assume|uncovered|verdict|step|strategy|level|change|beside)-[a-z-]+`).FindString(text); m != "" && name != "csv" {
			t.Errorf("%s shows a key instead of a text: %s", name, m)
		}
	}
}

// TestVerdictInWords draws figures that are easy to say wrongly.
func TestVerdictInWords(t *testing.T) {
	r := report(t, 80)
	tatami, today := r.Find(compare.Tatami), r.Find(compare.Current)
	tatami.Pending, today.Pending = nil, []compare.Pending{{PodGroup: "web", Count: 3, Code: "NoRoom", Reason: "full"}}
	for _, tt := range []struct {
		name     string
		verdict  compare.Verdict
		en, ptBR string
	}{
		{"the same price", compare.Verdict{Code: compare.VerdictNone, Strategy: compare.Tatami}, "Tatami would cost the same as today’s nodes.", "o Tatami custaria o mesmo que nós de hoje."},
		{"to the cent", compare.Verdict{Code: compare.VerdictSaves, Strategy: compare.Tatami, AnnualSavingUSD: 507_730_000_000}, "Tatami would save $507.73 a year", "O Tatami economizaria US$ 507,73 por ano"},
		{"another saves more", compare.Verdict{
			Code: compare.VerdictLittle, Strategy: compare.Tatami, BestOther: compare.Karpenter, AnnualSavingOtherUSD: 507_730_000_000,
		}, "Karpenter saves $507.73 more.", "Karpenter economiza US$ 507,73 a mais."},
		{"it places more", compare.Verdict{Code: compare.VerdictMore, Strategy: compare.Tatami}, "leaves pods pending (3); Tatami places all", "deixa pods pendentes (3); o Tatami dá lugar"},
		{"it rests on spot", compare.Verdict{Code: compare.VerdictSaves, Strategy: compare.TatamiSpot}, "Tatami with spot would save", "O Tatami com spot economizaria"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.Verdict = tt.verdict
			out := outputs(t, r)
			for form, want := range map[string]string{"md en": tt.en, "html en": tt.en, "md pt-BR": tt.ptBR, "html pt-BR": tt.ptBR} {
				if !strings.Contains(out[form], want) {
					t.Errorf("%s does not say %q", form, want)
				}
			}
		})
	}
}

// TestSchema holds real output against the published schema, where it also may
// have no field that the schema lacks.
func TestSchema(t *testing.T) {
	var doc any
	readJSON(t, "../../../docs/reference/plan.schema.json", &doc)
	closed(doc)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("plan.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	r := report(t, 80)
	diff := compare.Difference(*r, *report(t, 120))
	lone := compare.Difference(*r, compare.Report{})
	for name, value := range map[string]any{"report": r, "diff": diff, "diff with one side": lone} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"apiVersion":"plan.tatami.dev/v1","kind":"PlanReport"}`))
	if err != nil {
		t.Fatal(err)
	}
	if schema.Validate(broken) == nil {
		t.Error("the schema takes a report with nothing in it")
	}
}

// closed forbids fields that the schema does not name.
func closed(x any) {
	switch v := x.(type) {
	case map[string]any:
		if v["properties"] != nil && v["$schema"] == nil {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			closed(child)
		}
	case []any:
		for _, child := range v {
			closed(child)
		}
	}
}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, to); err != nil {
		t.Fatal(err)
	}
}
