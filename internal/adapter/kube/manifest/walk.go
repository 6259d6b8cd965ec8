package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// maxFile is the most that one file, or standard input, may hold: a dump of a
// big cluster has some hundred megabytes.
const maxFile = 1 << 30

// Set is what was read.
type Set struct {
	Objects []Object
	// Skipped are documents that hold no object that could be demand.
	Skipped []control.NotCovered
	// Digest is of all bytes that were read, and of what charts and
	// kustomizations made of them.
	digest hash.Hash
	seen   map[string]bool // folders, by their real path
	from   control.Sources
	charts Charts
}

// Read reads all paths of the sources. Without charts, Helm charts are refused.
func Read(ctx context.Context, from control.Sources, charts Charts) (*Set, error) {
	s := &Set{digest: sha256.New(), seen: map[string]bool{}, from: from, charts: charts}
	for _, path := range from.Paths {
		if err := s.path(ctx, path); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ReadFile reads one file or folder.
func ReadFile(ctx context.Context, path string) (*Set, error) {
	return Read(ctx, control.Sources{Paths: []string{path}}, nil)
}

// Digest is the same for the same input, as hexadecimal digits.
func (s *Set) Digest() string { return hex.EncodeToString(s.digest.Sum(nil)) }

func (s *Set) path(ctx context.Context, path string) error {
	if path == "-" {
		if s.from.Stdin == nil {
			return &control.Problem{What: "cannot read standard input", Next: "pipe manifests into the command"}
		}
		return s.stream("standard input", s.from.Stdin)
	}
	info, err := os.Stat(path)
	if err != nil {
		return missing(path, err)
	}
	switch {
	case info.IsDir():
		return s.folder(ctx, path)
	case strings.HasSuffix(path, ".tgz") || strings.HasSuffix(path, ".tar.gz"):
		return s.chart(path)
	}
	return s.file(path)
}

func missing(path string, err error) error {
	if broken, ok := errors.AsType[*fs.PathError](err); ok {
		err = broken.Err
	}
	return &control.Problem{
		What: "cannot read " + path,
		Why:  err,
		Next: "name a file, a folder, a kustomization or a chart that exists, or - for standard input",
	}
}

// folder reads a chart, a kustomization, or all manifests below it in the order
// of their names.
func (s *Set) folder(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		if s.seen[real] {
			return nil // a link back to where we are
		}
		s.seen[real] = true
	}
	if exists(dir, "Chart.yaml") {
		return s.chart(dir)
	}
	if slices.ContainsFunc(kustomizationFiles(), func(name string) bool { return exists(dir, name) }) {
		return s.kustomization(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return missing(dir, err)
	}
	for _, e := range entries {
		if err := s.entry(ctx, filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) entry(ctx context.Context, path string) error {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return missing(path, err)
	}
	if info.IsDir() {
		return s.folder(ctx, path)
	}
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return s.file(path)
	}
	return nil
}

func exists(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && !info.IsDir()
}

func (s *Set) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return missing(path, err)
	}
	defer f.Close()
	return s.stream(filepath.ToSlash(path), f)
}

func (s *Set) stream(name string, r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return missing(name, err)
	}
	if len(data) > maxFile {
		return missing(name, fmt.Errorf("it has more than %d MiB", maxFile>>20))
	}
	return s.text(name, data)
}

// text is where everything that is read passes by.
func (s *Set) text(name string, data []byte) error {
	fmt.Fprintf(s.digest, "%d\x00", len(data))
	s.digest.Write(data)
	return s.split(name, data)
}

func (s *Set) skip(ref workload.Ref, why string) {
	s.Skipped = append(s.Skipped, control.NotCovered{Object: ref, Why: why})
}
