package main

import (
	"strings"
	"testing"
)

func TestFigureTakesTheMedianAndJudgesIt(t *testing.T) {
	samples := []Sample{{APIReadyMillis: 9_000}, {APIReadyMillis: 30_000}, {APIReadyMillis: 4_000}, {APIReadyMillis: 12_000}}
	value := func(s Sample) int64 { return s.APIReadyMillis }
	odd := figure("api", millis, 10_000, samples[:3], value)
	if odd.Median != 9_000 || odd.Min != 4_000 || odd.Max != 30_000 || !*odd.Met {
		t.Errorf("of three: %+v", odd)
	}
	even := figure("api", millis, 10_000, samples, value)
	if even.Median != 10_500 || *even.Met {
		t.Errorf("of four: %+v", even)
	}
	if none := figure("api", millis, 0, samples, value); none.Met != nil {
		t.Error("a figure without a target was judged")
	}
}

func TestTableShowsSecondsAndMegabytes(t *testing.T) {
	r := Report{Runs: 1, Samples: []Sample{{APIReadyMillis: 2_345, Empty: Memory{RSSBytes: 512_000_000}}}}
	r.summarise()
	var out strings.Builder
	if err := r.table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2.3 s", "10.0 s  met", "512 MB", "450 MB  missed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestDescends(t *testing.T) {
	parents := map[int]int{10: 1, 20: 10, 30: 20, 40: 1}
	if !descends(30, 10, parents) || descends(40, 10, parents) || descends(10, 10, parents) {
		t.Error("wrong family")
	}
}
