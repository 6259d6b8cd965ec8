package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// patience is for single answers; a start has the program's own limit.
const patience = 20 * time.Second

// program is the path of the built program.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TATAMI_BIN")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "tatami")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("run make build, these tests need the built program: %v", err)
	}
	return path
}

// TestScripts gives each script two clusters to name: $NAME in $D, and $NAME2
// in $D2. Whatever they leave is removed.
func TestScripts(t *testing.T) {
	bin := program(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(e *testscript.Env) error { return setup(e, bin) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tatami":        tatami,
			"json":          checkJSON,
			"get":           get,
			"contexts":      contexts,
			"until":         until,
			"until-applied": untilApplied,
			"kill9":         kill9,
			"hold":          hold,
			"gone":          gone,
			"same":          same,
			"save":          save,
			"static":        static,
		},
	})
}

func setup(e *testscript.Env, bin string) error {
	// Short: Unix sockets lie in it.
	dir, err := os.MkdirTemp("/tmp", "tt")
	if err != nil {
		return err
	}
	e.Defer(func() { _ = os.RemoveAll(dir) })
	name := strings.ToLower("e" + filepath.Base(dir)[2:])
	kubeconfig := filepath.Join(e.WorkDir, "kubeconfig")
	for key, value := range map[string]string{
		"BIN": bin, "PATH": filepath.Dir(bin) + string(os.PathListSeparator) + e.Getenv("PATH"),
		"NAME": name, "D": filepath.Join(dir, "a"), "NAME2": name + "b", "D2": filepath.Join(dir, "b"),
		"KUBECONFIG": kubeconfig, "XDG_DATA_HOME": filepath.Join(dir, "home"), "HOME": filepath.Join(dir, "home"),
	} {
		e.Setenv(key, value)
	}
	for _, c := range [][2]string{{name, filepath.Join(dir, "a")}, {name + "b", filepath.Join(dir, "b")}} {
		e.Defer(func() {
			cmd := exec.CommandContext(context.Background(), bin, "down", "--purge", "--name", c[0], "--data-dir", c[1], "--kubeconfig", kubeconfig)
			_ = cmd.Run()
		})
	}
	return nil
}

// tatami runs a verb for the cluster $NAME in $D, and starts none with a node:
// tatami VERB ARG... ; "code N" before the verb wants that exit code.
func tatami(ts *testscript.TestScript, neg bool, args []string) {
	code := -1
	if len(args) > 2 && args[0] == "code" {
		code, _ = strconv.Atoi(args[1])
		args = args[2:]
	}
	words := 1
	if args[0] == "image" {
		words = 2
	}
	line := slices.Concat(args[:words], clusterFlags(ts, args), args[words:])
	began := time.Now()
	err := ts.Exec(ts.Getenv("BIN"), line...)
	ts.Logf("[%s: %.1f s]", strings.Join(args[:words], " "), time.Since(began).Seconds())
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		if code >= 0 && exit.ExitCode() != code || code < 0 && !neg {
			ts.Fatalf("exit code %d", exit.ExitCode())
		}
	case err != nil:
		ts.Fatalf("%v", err)
	case neg || code > 0:
		ts.Fatalf("it succeeded")
	}
}

func clusterFlags(ts *testscript.TestScript, args []string) []string {
	flags := []string{"--name", ts.Getenv("NAME"), "--data-dir", ts.Getenv("D")}
	if args[0] == "up" {
		flags = append(flags, "--node", "none", "--timeout", "2m")
	}
	return flags
}

// field follows a dotted path into a value; a number is an index.
func field(v any, path string) (any, error) {
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				return nil, fmt.Errorf("no element %s of %d", key, len(x))
			}
			v = x[i]
		default:
			return nil, fmt.Errorf("%s of %v: not an object", key, v)
		}
	}
	return v, nil
}

func text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}

// checkJSON compares a field of the last output: [!] json PATH PATTERN
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH PATTERN")
	}
	out := ts.ReadFile("stdout")
	v, err := decode([]byte(out))
	if err != nil {
		ts.Fatalf("stdout is no JSON: %v\n%s", err, out)
	}
	got, err := match(v, args[0], args[1])
	if err != nil || got == neg {
		ts.Fatalf("%s (%v) and %s in\n%s", args[0], err, args[1], out)
	}
}

// decode keeps numbers as they are written.
func decode(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// match says whether a field matches a pattern as a whole.
func match(v any, path, pattern string) (bool, error) {
	got, err := field(v, path)
	return err == nil && regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(text(got)), err
}

// get reads an object from the API server of the context tatami-$NAME, as the
// merged kubeconfig gives it: get URLPATH [FIELD PATTERN]; ! get wants it not to
// exist.
func get(ts *testscript.TestScript, neg bool, args []string) {
	code, body := request(ts, args[0])
	if neg {
		if code != http.StatusNotFound {
			ts.Fatalf("%s: code %d", args[0], code)
		}
		return
	}
	if code != http.StatusOK {
		ts.Fatalf("%s: code %d: %s", args[0], code, body)
	}
	if len(args) == 3 {
		v, err := decode(body)
		ts.Check(err)
		if ok, err := match(v, args[1], args[2]); !ok {
			ts.Fatalf("%s (%v) is not %s in\n%s", args[1], err, args[2], body)
		}
	}
}

// untilApplied waits for an object: until-applied URLPATH
func untilApplied(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		cfg, err := clientcmd.LoadFromFile(ts.Getenv("KUBECONFIG"))
		if err == nil && cfg.Contexts["tatami-"+ts.Getenv("NAME")] != nil {
			if code, _ := request(ts, args[0]); code == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not appear", args[0])
		}
	}
}

func request(ts *testscript.TestScript, path string) (int, []byte) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: ts.Getenv("KUBECONFIG")}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: "tatami-" + ts.Getenv("NAME")}
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	ts.Check(err)
	cfg.Timeout = patience
	client, err := rest.HTTPClientFor(cfg)
	ts.Check(err)
	defer client.CloseIdleConnections()
	res, err := client.Get(cfg.Host + path)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	return res.StatusCode, body
}

// contexts compares those of $KUBECONFIG: contexts CURRENT NAME...; an empty
// CURRENT is written as -.
func contexts(ts *testscript.TestScript, neg bool, args []string) {
	cfg, err := clientcmd.LoadFromFile(ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	current := cfg.CurrentContext
	if current == "" {
		current = "-"
	}
	got := append([]string{current}, slices.Sorted(maps.Keys(cfg.Contexts))...)
	want := append(slices.Clone(args[:1]), slices.Sorted(slices.Values(args[1:]))...)
	if neg || !slices.Equal(got, want) {
		ts.Fatalf("current and all contexts are %v, want %v", got, want)
	}
	for name, c := range cfg.Contexts {
		if cfg.Clusters[c.Cluster] == nil || cfg.AuthInfos[c.AuthInfo] == nil {
			ts.Fatalf("context %s lacks its cluster or user", name)
		}
	}
	if len(cfg.Clusters) != len(cfg.Contexts) || len(cfg.AuthInfos) != len(cfg.Contexts) {
		ts.Fatalf("clusters or users without a context")
	}
}

// status asks the program itself.
func status(ts *testscript.TestScript) (s struct {
	State string
	PID   int
},
) {
	var out bytes.Buffer
	cmd := exec.CommandContext(context.Background(), ts.Getenv("BIN"), "status", "-o", "json", "--name", ts.Getenv("NAME"), "--data-dir", ts.Getenv("D"))
	cmd.Stdout = &out
	_ = cmd.Run() // the code is 1 when it does not run
	if out.Len() > 0 {
		ts.Check(json.Unmarshal(out.Bytes(), &s))
	}
	return s
}

// until waits for a state of the cluster: until running
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: until STATE")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		state := status(ts).State
		if state == args[0] {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it is still %q", state)
		}
	}
}

// kill9 kills the server, as a kernel without memory does, and waits for its
// end.
func kill9(ts *testscript.TestScript, _ bool, _ []string) {
	pid := status(ts).PID
	if pid <= 1 {
		ts.Fatalf("no server to kill")
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	waitGone(ts, pid)
}

func waitGone(ts *testscript.TestScript, pid int) {
	for deadline := time.Now().Add(patience); alive(pid); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("process %d lives on", pid)
		}
	}
}

// alive is false for a process that is dead and that nobody has waited for.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// hold opens a port of this machine for the rest of the script: hold VARIABLE
func hold(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// save keeps a field of the last output: save VARIABLE PATH
func save(ts *testscript.TestScript, _ bool, args []string) {
	v, err := decode([]byte(ts.ReadFile("stdout")))
	ts.Check(err)
	got, err := field(v, args[1])
	ts.Check(err)
	ts.Setenv(args[0], text(got))
}

// same compares two words: same $A $B
func same(ts *testscript.TestScript, neg bool, args []string) {
	if (args[0] == args[1]) == neg {
		ts.Fatalf("%q and %q", args[0], args[1])
	}
}

// gone wants the process to be dead: gone PID
func gone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	waitGone(ts, pid)
}

// static copies a program that can be put into an image: static FILE
func static(ts *testscript.TestScript, _ bool, args []string) {
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(ts.Getenv("BIN")), "tatami-pause"))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o755))
}
