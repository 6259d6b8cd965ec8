package program

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tatami-proxy": func() { os.Exit(Main(os.Args[1:], IO{Out: os.Stdout, Err: os.Stderr, Version: "v0.0.0-test"})) },
	})
}

// TestScripts runs the program as a person would. In scripts, $BACKEND is a server
// that answers with its name, and the commands below wait and ask.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			one, two := answering("one"), answering("two")
			env.Defer(one.Close)
			env.Defer(two.Close)
			env.Setenv("BACKEND", one.Listener.Addr().String())
			env.Setenv("BACKEND2", two.Listener.Addr().String())
			for _, name := range []string{"LISTEN", "ADMIN"} {
				port, err := freePort()
				if err != nil {
					return err
				}
				env.Setenv(name, port)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"get":    scriptGet,
			"term":   scriptTerm,
			"await":  scriptAwait,
			"expand": scriptExpand,
		},
	})
}

func answering(name string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s\n", name, r.Method, r.URL.Path)
	}))
}

func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String(), nil
}

// scriptGet is `get URL`: status and body on stdout. `get URL TEXT` asks again
// until the answer has TEXT in it, for ten seconds.
func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: get URL [TEXT]")
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	got := ""
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got = ask(client, args[0])
		if len(args) == 1 || strings.Contains(got, args[1]) || time.Now().After(deadline) {
			break
		}
	}
	_, _ = io.WriteString(ts.Stdout(), got)
	failed := strings.HasPrefix(got, "error") || len(args) == 2 && !strings.Contains(got, args[1])
	if failed != neg {
		ts.Fatalf("%s", got)
	}
}

func ask(client http.Client, url string) string {
	resp, err := client.Get(url)
	if err != nil {
		return "error: " + err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

// scriptTerm is `term`: SIGTERM to what runs in the background.
func scriptTerm(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		if c.ProcessState == nil {
			_ = c.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
		}
	}
}

// scriptAwait is `await FILE`: waits until it is there.
func scriptAwait(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not come", path)
}

// scriptExpand is `expand FROM TO`: writes FROM with its variables replaced, by a
// rename, as one should.
func scriptExpand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	to := ts.MkAbs(args[1])
	ts.Check(os.WriteFile(to+".new", []byte(text), 0o600))
	ts.Check(os.Rename(to+".new", filepath.Clean(to)))
}
