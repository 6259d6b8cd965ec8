package suites

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// backend answers what clients of others ask: /echo tells what came, /size/N sends
// N bytes, /trailers sends trailers, /status/N a status, /slow/N sends N parts.
func backend() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/size/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "x.bin", time.Time{}, strings.NewReader(pattern(n)))
	})
	mux.HandleFunc("/status/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		w.WriteHeader(n)
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		_ = http.NewResponseController(w).Flush() // no Content-Length: HTTP/1.1 has no trailers with it
		w.Header().Set("X-Sum", "down:"+r.Trailer.Get("X-Sum"))
	})
	mux.HandleFunc("/slow/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		for range n {
			_, _ = io.WriteString(w, "part\n")
			_ = http.NewResponseController(w).Flush()
		}
	})
	return mux
}

// echo tells the request as lines, its body as length and checksum.
func echo(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Method", r.Method)
	fmt.Fprintf(w, "%s %s %s\nbody %d %s\n", r.Method, r.RequestURI, r.Proto, n, hex.EncodeToString(sum.Sum(nil)))
	var lines []string
	for name, values := range r.Header {
		lines = append(lines, name+": "+strings.Join(values, " | "))
	}
	for name, values := range r.Trailer {
		lines = append(lines, "trailer "+name+": "+strings.Join(values, " | "))
	}
	slices.Sort(lines)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
}

// pattern is a text of n bytes in which a shifted part would show.
func pattern(n int) string {
	var b strings.Builder
	b.Grow(n + 16)
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strconv.Itoa(i) + "\n")
	}
	return b.String()[:n]
}

func bodyLine(content string) string {
	sum := sha256.Sum256([]byte(content))
	return fmt.Sprintf("body %d %s\n", len(content), hex.EncodeToString(sum[:]))
}
