package oci

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tatami-platform/tatami/internal/control"
)

// Images implements [control.Images]. The zero value is ready.
type Images struct{}

var _ control.Images = Images{}

// Build makes the image and writes it to w as an archive.
func (Images) Build(ctx context.Context, spec control.ImageSpec, w io.Writer) (control.Image, error) {
	var built control.Image
	full, err := Name(spec.Name)
	if err != nil {
		return built, err
	}
	img, err := Build(ctx, Spec{
		Files:      []File{{Source: spec.Source}},
		Entrypoint: spec.Entrypoint, Args: spec.Args, Env: spec.Env,
		Labels: spec.Labels, User: spec.User, Platform: spec.Platform,
	})
	if err != nil {
		return built, err
	}
	if built, err = describe(full, img); err != nil {
		return built, err
	}
	return built, Write(ctx, w, Named{Name: full, Image: img})
}

func describe(full string, img v1.Image) (control.Image, error) {
	image := control.Image{Name: full}
	var err error
	if image.Digest, err = Digest(img); err != nil {
		return image, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return image, err
	}
	image.Platform = config.Platform().String()
	layers, err := img.Layers()
	if err != nil {
		return image, err
	}
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			return image, err
		}
		image.SizeBytes += size
	}
	return image, nil
}

// Check verifies an archive and copies it, decompressed, to w.
func (Images) Check(ctx context.Context, r io.Reader, w io.Writer) ([]control.Image, error) {
	return Check(ctx, r, w)
}

// reader stops when the context ends.
type reader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no other way to be cancelled.
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
