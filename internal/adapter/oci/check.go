package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/tatami-platform/tatami/internal/control"
)

// maxDocument bounds what is kept of an archive in memory at a time: manifests
// and configurations are far smaller, layers are not kept.
const maxDocument = 1 << 20

// maxDocuments bounds all of them together.
const maxDocuments = 64 << 20

// Check reads an archive from r, plain or gzip'd, copies it plain to w, and
// returns the images in it by name.
//
// It fails on what a container store would refuse, or would take and then not
// run: no archive, one cut short, blobs that are missing or differ from their
// digest, images without a name. Errors are [control.Problem]s.
func Check(ctx context.Context, r io.Reader, w io.Writer) ([]control.Image, error) {
	plain, err := decompress(reader{ctx: ctx, r: r})
	if err != nil {
		return nil, err
	}
	content, err := scan(io.TeeReader(plain, w))
	if err != nil {
		return nil, err
	}
	images, err := content.images()
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, &control.Problem{
			What: "the images in the archive have no names, so that no pod could refer to them",
			Next: "save them by name, e.g. docker save --output FILE.tar NAME:TAG",
		}
	}
	return images, nil
}

const howToSave = "write one with `tatami image build --output FILE.tar` or `docker save --output FILE.tar NAME:TAG`"

func notArchive(what string) error {
	return &control.Problem{What: "the file " + what, Next: howToSave}
}

// decompress undoes gzip, which people often put around archives. containerd
// would take such a file for damaged.
func decompress(r io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	if len(head) == 0 {
		return nil, notArchive("is empty")
	}
	for tool, magic := range map[string]string{"zstd": "\x28\xb5\x2f\xfd", "xz": "\xfd7zXZ\x00", "bzip2": "BZh"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return nil, &control.Problem{
				What: "the file is compressed with " + tool,
				Next: "decompress it first: " + tool + " -d FILE",
			}
		}
	}
	if !bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, &control.Problem{What: "the file is damaged", Why: err, Next: "copy or save it again"}
	}
	return z, nil
}

// archived is what is known of an archive after one pass.
type archived struct {
	// documents holds small members by path.
	documents map[string][]byte
	// members holds the paths of all files.
	members map[string]bool
	kept    int
}

func scan(plain io.Reader) (*archived, error) {
	a := &archived{documents: map[string][]byte{}, members: map[string]bool{}}
	tr := tar.NewReader(plain)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = a.add(h, tr)
		}
		if err != nil {
			return nil, scanError(err, len(a.members) == 0)
		}
	}
	// What follows the end mark is padding; the copy gets it too.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return nil, scanError(err, false)
	}
	return a, nil
}

func scanError(err error, first bool) error {
	var problem *control.Problem
	switch {
	case errors.As(err, &problem), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case first && (errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF)):
		return notArchive("is not an image archive: it is not a tar file")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &control.Problem{What: "the file ends too early: it was cut short", Next: "copy or save it again"}
	case errors.Is(err, tar.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return &control.Problem{What: "the file is damaged", Why: err, Next: "copy or save it again"}
	}
	return fmt.Errorf("read archive: %w", err)
}

// add reads one member: it checks blobs against the digest that is their name.
func (a *archived) add(h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	if h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink {
		// Older `docker save` links layers that images share.
		a.members[name] = true
		return nil
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	if sparse(h) {
		return notArchive("is not an image archive: " + name + " is a sparse file")
	}
	a.members[name] = true
	sum := sha256.New()
	to := io.Writer(sum)
	var document bytes.Buffer
	if h.Size <= maxDocument && a.kept+int(h.Size) <= maxDocuments {
		to = io.MultiWriter(sum, &document)
	}
	if _, err := io.Copy(to, r); err != nil {
		return err
	}
	if want, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && want != hex.EncodeToString(sum.Sum(nil)) {
		return &control.Problem{
			What: "the file is damaged",
			Why:  fmt.Errorf("the content of %s is not what its digest says", name),
			Next: "copy or save it again",
		}
	}
	if document.Len() > 0 && looksLikeJSON(document.Bytes()) {
		a.documents[name] = document.Bytes()
		a.kept += document.Len()
	}
	return nil
}

// sparse finds members of which a few bytes can stand for more zeros than a
// disk holds; no tool writes images so.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func looksLikeJSON(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && (b[0] == '{' || b[0] == '[')
}
