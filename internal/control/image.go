package control

import (
	"context"
	"io"
)

// Images makes and reads image archives: tar files that hold container images.
// It needs no cluster; adapter/oci implements it.
type Images interface {
	// Build writes the image of spec to w as an archive, under its full name.
	Build(ctx context.Context, spec ImageSpec, w io.Writer) (Image, error)
	// Check reads an archive from r, verifies it, and writes it to w without
	// outer compression. It fails when no image in it has a name.
	Check(ctx context.Context, r io.Reader, w io.Writer) ([]Image, error)
}

// ImageSpec is what `tatami image build` was asked for.
type ImageSpec struct {
	// Source is a static Linux program, or a folder that becomes the root of
	// the image and holds at least one.
	Source string
	// Name as the user writes it: "hello" means docker.io/library/hello:latest.
	Name string
	// Entrypoint is the program to run and its fixed arguments; empty means the
	// only program in Source.
	Entrypoint []string
	// Args are the default arguments, which a pod's args replace.
	Args []string
	// Env holds KEY=VALUE pairs.
	Env []string
	// Labels by key.
	Labels map[string]string
	// User is a number, or two joined by a colon; empty means 65532:65532.
	User string
	// Platform is refused when the program is for another one; empty means
	// that of the program.
	Platform string
}

// Image is an image that was built or found in an archive.
type Image struct {
	// Name is complete, as Kubernetes resolves it.
	Name      string `json:"name"`
	Digest    string `json:"digest,omitempty"`
	Platform  string `json:"platform,omitempty"`
	SizeBytes int64  `json:"sizeBytes,omitempty"`
}
