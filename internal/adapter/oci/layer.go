package oci

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entry is one path of the image's file system.
type entry struct {
	path   string // without the leading slash
	source string // file to read; empty for folders and links
	link   string // target of a symbolic link
	mode   int64
	size   int64
}

// layer is a tar stream made anew from its files each time it is read, so that
// a program of any size passes through a small buffer. It is not compressed:
// the bytes, and with them the digest, then do not depend on the version of a
// compressor, and loading into a local store is faster.
type layer struct {
	entries []entry
	digest  v1.Hash
	size    int64
}

// newLayer reads all files once to learn the digest.
func newLayer(ctx context.Context, entries []entry) (*layer, error) {
	l := &layer{entries: withFolders(entries)}
	sum := sha256.New()
	count := &counter{w: sum}
	if err := l.write(ctx, count); err != nil {
		return nil, err
	}
	l.size = count.n
	l.digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	return l, nil
}

// withFolders adds the parents of all entries and a /tmp that anyone may write
// to, which many programs expect, and sorts by path.
func withFolders(entries []entry) []entry {
	known := map[string]entry{"tmp": {path: "tmp", mode: 0o1777}}
	for _, e := range entries {
		for dir := path.Dir(e.path); dir != "."; dir = path.Dir(dir) {
			if _, ok := known[dir]; !ok {
				known[dir] = entry{path: dir, mode: 0o755}
			}
		}
	}
	for _, e := range entries {
		known[e.path] = e
	}
	all := make([]entry, 0, len(known))
	for _, e := range known {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return all
}

func (l *layer) write(ctx context.Context, w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, e := range l.entries {
		h := &tar.Header{Name: e.path, Mode: e.mode, ModTime: time.Unix(0, 0)}
		switch {
		case e.source != "":
			h.Typeflag, h.Size = tar.TypeReg, e.size
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		default:
			h.Typeflag, h.Name = tar.TypeDir, e.path+"/"
		}
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("pack %s: %w", e.path, err)
		}
		if e.source == "" {
			continue
		}
		if err := copyFile(ctx, tw, e); err != nil {
			return err
		}
	}
	return tw.Close()
}

// copyFile fails when the file has another size than before: it is being
// written, and the image would be half old, half new.
func copyFile(ctx context.Context, w io.Writer, e entry) error {
	f, err := os.Open(e.source)
	if err != nil {
		return fmt.Errorf("pack %s: %w", e.path, err)
	}
	defer f.Close()
	n, err := io.Copy(w, io.LimitReader(reader{ctx: ctx, r: f}, e.size+1))
	if err != nil && n <= e.size {
		return fmt.Errorf("pack %s: %w", e.source, err)
	}
	if n != e.size {
		return fmt.Errorf("pack %s: it changed while it was read", e.source)
	}
	return nil
}

// Digest of the layer; v1.Layer.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID equals the digest, as the layer is not compressed; v1.Layer.
func (l *layer) DiffID() (v1.Hash, error) { return l.digest, nil }

// Size in bytes; v1.Layer.
func (l *layer) Size() (int64, error) { return l.size, nil }

// MediaType of a plain tar; v1.Layer.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }

// Compressed is the plain stream; v1.Layer.
func (l *layer) Compressed() (io.ReadCloser, error) { return l.Uncompressed() }

// Uncompressed streams the tar; closing early stops the writer; v1.Layer.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(l.write(context.Background(), pw)) }()
	return pr, nil
}

// counter counts what passes.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
