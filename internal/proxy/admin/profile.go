package admin

import (
	"fmt"
	"net/http"
	httppprof "net/http/pprof"
	"runtime/pprof"
	"strings"
)

// profile serves one profile of the process.
func profile(w http.ResponseWriter, r *http.Request) {
	switch name := r.PathValue("name"); name {
	case "profile":
		httppprof.Profile(w, r)
	case "trace":
		httppprof.Trace(w, r)
	case "cmdline":
		httppprof.Cmdline(w, r)
	case "symbol":
		httppprof.Symbol(w, r)
	default:
		if pprof.Lookup(name) == nil {
			http.Error(w, "no such profile; see /pprof/", http.StatusNotFound)
			return
		}
		httppprof.Handler(name).ServeHTTP(w, r)
	}
}

func profileIndex() string {
	var b strings.Builder
	fmt.Fprintln(&b, "go tool pprof http://ADDRESS/pprof/NAME")
	fmt.Fprintln(&b)
	fmt.Fprintln(&b, "profile        processor time, ?seconds=30")
	fmt.Fprintln(&b, "trace          execution trace, ?seconds=1")
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(&b, "%-14s %d, ?debug=1 for text\n", p.Name(), p.Count())
	}
	return b.String()
}
