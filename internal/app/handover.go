package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tatami-platform/tatami/internal/cli"
	"github.com/tatami-platform/tatami/internal/control"
)

// guard marks the environment of a process that was handed over to.
const guard = "TATAMI_HANDOVER"

// askTimeout bounds the question to another program on PATH: it may be a shell
// script, or something else of the same name that waits for input.
const askTimeout = 5 * time.Second

// env is what handing over reads of this process.
type env struct {
	args    []string
	environ []string
	// self is the file of this program, links resolved.
	self string
	// path holds the folders of PATH.
	path []string
	// handed says that another program handed over to this one.
	handed bool
}

func processEnv() env {
	path, handed := os.Getenv("PATH"), os.Getenv(guard) != ""
	e := env{args: os.Args, environ: os.Environ(), path: filepath.SplitList(path), handed: handed}
	if self, err := os.Executable(); err == nil {
		e.self = self
	}
	if self, err := filepath.EvalSymlinks(e.self); err == nil {
		e.self = self
	}
	return e
}

// handover runs the same command line in the full program. On Unix it replaces
// this process and returns only when that fails.
func handover(ctx context.Context, e env) (int, error) {
	if e.handed {
		return 0, &control.Problem{
			What: "this command needs the full program, and " + e.self + " is the small one",
			Why:  errors.New("another program handed over to it by mistake"),
			Next: howToGet,
		}
	}
	full, err := findFull(ctx, e)
	if err != nil {
		return 0, err
	}
	args := append([]string{e.args[0]}, e.args[1:]...)
	return replace(ctx, full, args, append(e.environ, guard+"=1"))
}

const howToGet = "build it with `git clone https://github.com/tatami-platform/tatami && make -C tatami build`,\n" +
	"or unpack a release archive, and put the program on PATH as tatami-full"

// findFull looks beside this program first, so that both can be installed
// together anywhere, and on PATH next.
func findFull(ctx context.Context, e env) (string, error) {
	name, short := executable("tatami-full"), executable("tatami")
	candidates := []string{filepath.Join(filepath.Dir(e.self), name)}
	for _, dir := range e.path {
		candidates = append(candidates, filepath.Join(dir, name))
	}
	for _, file := range candidates {
		if runnable(file) && !same(file, e.self) {
			return file, nil
		}
	}
	for _, dir := range e.path {
		file := filepath.Join(dir, short)
		if runnable(file) && !same(file, e.self) && isFull(ctx, file) {
			return file, nil
		}
	}
	return "", &control.Problem{
		What: "this command needs the full program, which brings Kubernetes",
		Why:  fmt.Errorf("there is no %s beside %s or on PATH", name, e.self),
		Next: howToGet,
	}
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// runnable refuses relative paths: PATH may name the current folder, and what
// lies there was not installed by anyone.
func runnable(file string) bool {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || !filepath.IsAbs(file) {
		return false
	}
	return runtime.GOOS == "windows" || info.Mode()&0o111 != 0
}

func same(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// isFull asks a program what it is.
func isFull(ctx context.Context, file string) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, "version", "-o", "json")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return false
	}
	var v cli.Version
	return json.Unmarshal(out, &v) == nil && v.Program == cli.ProgramFull
}
