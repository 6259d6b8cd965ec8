package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"
)

// routes lists what a serving probe can be asked; every answer is plain text,
// and every failure is a 500 with the error. All are GET, so that the API
// server's proxy and a probe's httpGet can ask.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string]func(url.Values) (string, error){
		"/hostname": func(url.Values) (string, error) { return os.Hostname() },
		"/env":      func(q url.Values) (string, error) { return lookup(q.Get("name")) },
		"/file":     func(q url.Values) (string, error) { b, err := os.ReadFile(q.Get("path")); return string(b), err },
		"/link":     func(q url.Values) (string, error) { return os.Readlink(q.Get("path")) },
		"/stat":     func(q url.Values) (string, error) { return stat(q.Get("path")) },
		"/write":    func(q url.Values) (string, error) { return write(q.Get("path"), q.Get("text"), q.Get("bytes")) },
		"/fsize":    func(q url.Values) (string, error) { return fileSystem(q.Get("path")) },
		"/healthz":  s.healthz,
		"/fail":     func(url.Values) (string, error) { return "failing", s.setFailing(true) },
		"/heal":     func(url.Values) (string, error) { return "healthy", s.setFailing(false) },
		"/record":   func(q url.Values) (string, error) { s.record(q.Get("text")); return "", nil },
		"/records":  func(url.Values) (string, error) { return s.records(), nil },
		"/burn":     func(q url.Values) (string, error) { return burn(q.Get("millis")) },
		"/udp":      func(q url.Values) (string, error) { return askUDP(q.Get("addr"), q.Get("text")) },
		"/resolve":  func(q url.Values) (string, error) { return resolve(q.Get("kind"), q.Get("name")) },
		"/fetch": func(q url.Values) (string, error) {
			return fetch(request{url: q.Get("url"), tokenFile: q.Get("token"), caFile: q.Get("ca")})
		},
		"/exit": func(q url.Values) (string, error) { return "", exitSoon(q.Get("code")) },
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			text, err := answer(r.URL.Query())
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprint(w, text)
		})
	}
	mux.HandleFunc("GET /peer", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprint(w, host)
	})
	return mux
}

func (s *server) healthz(url.Values) (string, error) {
	if !s.healthy() {
		return "", errUnhealthy
	}
	return "ok", nil
}

func lookup(name string) (string, error) {
	value, found := os.LookupEnv(name)
	if !found {
		return "", errors.New("the environment has no " + name)
	}
	return value, nil
}

// stat gives permissions in octal, owner, group and size.
func stat(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.ErrUnsupported
	}
	return fmt.Sprintf("%o %d %d %d", info.Mode().Perm(), sys.Uid, sys.Gid, info.Size()), nil
}

// write writes text, or a number of bytes.
func write(path, text, bytes string) (string, error) {
	content := []byte(text)
	if bytes != "" {
		n, err := strconv.Atoi(bytes)
		if err != nil {
			return "", err
		}
		content = make([]byte, n)
	}
	return "", os.WriteFile(path, content, 0o644) //nolint:gosec // other containers read it
}

// fileSystem gives the type, as a hexadecimal magic number, and the size in
// bytes of the file system at path.
func fileSystem(path string) (string, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x %d", st.Type, int64(st.Blocks)*st.Bsize), nil
}

// burn keeps one core busy for a while, and gives the milliseconds of processor
// time that it got.
func burn(millis string) (string, error) {
	n, err := strconv.Atoi(millis)
	if err != nil {
		return "", err
	}
	before := processorTime()
	for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
	}
	return strconv.FormatInt((processorTime() - before).Milliseconds(), 10), nil
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// exitSoon answers before it ends.
func exitSoon(code string) error {
	n, err := strconv.Atoi(code)
	if err != nil {
		return err
	}
	time.AfterFunc(50*time.Millisecond, func() { os.Exit(n) })
	return nil
}
