package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// HTTP2 asks over HTTP/2 with h2load of nghttp2.
type HTTP2 struct {
	// Program is h2load's path.
	Program string
	// Path and Host are asked for.
	Path, Host string
	// TLS negotiates h2; without it the connection begins with HTTP/2.
	TLS bool
	// Streams is how many requests are open on one connection.
	Streams int
	// Headers are added, as "name: value".
	Headers []string
	// Body is sent with each request; nil makes it a GET.
	Body []byte
	// BodyBytes is the length that every answer must have.
	BodyBytes int64
	// Parts is into how many requests each one counts, e.g. messages of a
	// stream; 0 means one. Latency stays that of the whole.
	Parts int
}

// Run asks as planned; rates are refused. Connections are opened within the
// run, so there should be few of them.
func (h HTTP2) Run(ctx context.Context, addr string, p Plan) (Result, error) {
	if p.Connections < 1 || p.Requests < 1 || p.Rate > 0 {
		return Result{}, errors.New("a run needs connections and requests, and takes no rate")
	}
	dir, err := os.MkdirTemp("", "h2load")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	parts := max(h.Parts, 1)
	n := max(p.Requests/parts, 1)
	p.Connections = min(p.Connections, n)
	log := filepath.Join(dir, "log")
	args, err := h.args(dir)
	if err != nil {
		return Result{}, err
	}
	args = append(
		args,
		"-t", "1", "-c", strconv.Itoa(p.Connections), "-m", strconv.Itoa(h.Streams), "-n", strconv.Itoa(n),
		"--connection-active-timeout", strconv.Itoa(int((6*stall).Seconds()))+"s", "--log-file", log, "--connect-to", addr,
	)
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	cmd := exec.CommandContext(ctx, h.Program, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("h2load: %w\n%s", errors.Join(err, ctx.Err()), out)
	}
	if err := checkH2load(string(out), n, h.BodyBytes); err != nil {
		return Result{}, err
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return Result{}, fmt.Errorf("log of h2load: %w", err)
	}
	r, err := parseLog(text)
	r.Requests *= parts
	return r, err
}

// args say what is asked for; the body goes into a file.
func (h HTTP2) args(dir string) ([]string, error) {
	scheme := "http"
	if h.TLS {
		scheme = "https"
	}
	args := []string{scheme + "://" + h.Host + h.Path}
	for _, header := range h.Headers {
		args = append(args, "-H", header)
	}
	if h.Body == nil {
		return args, nil
	}
	data := filepath.Join(dir, "body")
	return append(args, "-d", data), os.WriteFile(data, h.Body, 0o600)
}

// checkH2load holds that all requests were answered well, from the summary.
func checkH2load(out string, n int, bodyBytes int64) error {
	answered := regexp.MustCompile(`(?m)^requests: .* (\d+) succeeded, 0 failed, 0 errored, 0 timeout$`).FindStringSubmatch(out)
	status := regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx$`).FindStringSubmatch(out)
	data := regexp.MustCompile(`(?m)^traffic: .* \((\d+)\) data$`).FindStringSubmatch(out)
	if answered == nil || status == nil || data == nil {
		return fmt.Errorf("not all requests were answered with success:\n%s", summary(out))
	}
	want := strconv.Itoa(n)
	if answered[1] != want || status[1] != want {
		return fmt.Errorf("of %d requests not all were answered with success:\n%s", n, summary(out))
	}
	if want := strconv.FormatInt(int64(n)*bodyBytes, 10); data[1] != want {
		return fmt.Errorf("all bodies together have %s bytes, and %s were expected", data[1], want)
	}
	return nil
}

// summary leaves the progress out.
func summary(out string) string {
	if i := strings.Index(out, "finished in"); i >= 0 {
		return out[i:]
	}
	return out
}

// parseLog reads lines of "start in µs, status, duration in µs".
func parseLog(text []byte) (Result, error) {
	var latency []time.Duration
	first, last := int64(0), int64(0)
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 3 {
			return Result{}, fmt.Errorf("log of h2load: %q", line)
		}
		start, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return Result{}, fmt.Errorf("log of h2load: %w", err)
		}
		took, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return Result{}, fmt.Errorf("log of h2load: %w", err)
		}
		if first == 0 || start < first {
			first = start
		}
		last = max(last, start+took)
		latency = append(latency, time.Duration(took)*time.Microsecond)
	}
	if len(latency) == 0 {
		return Result{}, errors.New("log of h2load: there is nothing in it")
	}
	return newResult(time.Duration(last-first)*time.Microsecond, latency), nil
}
