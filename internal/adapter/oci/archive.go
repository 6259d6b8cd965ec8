package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Named is an image under the name that pods use for it.
type Named struct {
	// Name is completed by [Name].
	Name  string
	Image v1.Image
}

// The annotations by which an index names its images: the first is read by
// containerd since 1.3, the second is the one of the specification.
const (
	annotationFullName = "io.containerd.image.name"
	annotationRefName  = "org.opencontainers.image.ref.name"
)

// WriteArchive writes the images to a file, which appears only when complete.
func WriteArchive(ctx context.Context, path string, images ...Named) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write image archive: %w", err)
	}
	// After the rename there is nothing left to remove.
	defer os.Remove(f.Name())
	err = errors.Join(Write(ctx, f, images...), f.Chmod(0o644), f.Close())
	if err != nil {
		return fmt.Errorf("write image archive %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write image archive: %w", err)
	}
	return nil
}

// Write writes a tar that is an OCI image layout and at the same time in the
// format of `docker save`, so that containerd 1.6 and later, Docker, Podman
// and skopeo read it. A layer that two images share is written once.
func Write(ctx context.Context, w io.Writer, images ...Named) error {
	a := &archive{tw: tar.NewWriter(w), done: map[v1.Hash]bool{}}
	if err := a.bytes("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	var saved []savedImage
	for _, n := range images {
		full, err := Name(n.Name)
		if err != nil {
			return err
		}
		desc, docker, err := a.image(ctx, full, n.Image)
		if err != nil {
			return fmt.Errorf("archive image %s: %w", full, err)
		}
		index.Manifests = append(index.Manifests, desc)
		saved = append(saved, docker)
	}
	if err := a.json("index.json", index); err != nil {
		return err
	}
	if err := a.json("manifest.json", saved); err != nil {
		return err
	}
	return a.tw.Close()
}

// savedImage is one image in the manifest.json of `docker save`.
type savedImage struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
}

type archive struct {
	tw   *tar.Writer
	done map[v1.Hash]bool
}

func (a *archive) image(ctx context.Context, full string, img v1.Image) (v1.Descriptor, savedImage, error) {
	saved := savedImage{RepoTags: []string{full}}
	var desc v1.Descriptor
	layers, err := img.Layers()
	if err != nil {
		return desc, saved, err
	}
	for _, l := range layers {
		h, err := a.layer(ctx, l)
		if err != nil {
			return desc, saved, err
		}
		saved.Layers = append(saved.Layers, blobPath(h))
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return desc, saved, err
	}
	configHash, err := a.blob(config)
	if err != nil {
		return desc, saved, err
	}
	saved.Config = blobPath(configHash)
	manifest, err := img.RawManifest()
	if err != nil {
		return desc, saved, err
	}
	hash, err := a.blob(manifest)
	if err != nil {
		return desc, saved, err
	}
	mediaType, err := img.MediaType()
	if err != nil {
		return desc, saved, err
	}
	parsed, err := img.ConfigFile()
	if err != nil {
		return desc, saved, err
	}
	return v1.Descriptor{
		MediaType: mediaType, Size: int64(len(manifest)), Digest: hash, Platform: parsed.Platform(),
		Annotations: map[string]string{annotationFullName: full, annotationRefName: shortTag(full)},
	}, saved, nil
}

// layer copies a layer and checks that it still is what its digest says: its
// files may have changed since the image was built.
func (a *archive) layer(ctx context.Context, l v1.Layer) (h v1.Hash, err error) {
	if h, err = l.Digest(); err != nil || a.done[h] {
		return h, err
	}
	size, err := l.Size()
	if err != nil {
		return h, err
	}
	content, err := l.Compressed()
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	if err := a.header(blobPath(h), size); err != nil {
		return h, err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(a.tw, sum), reader{ctx: ctx, r: content}); err != nil {
		return h, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != h.Hex {
		return h, errors.New("its files changed while they were read")
	}
	a.done[h] = true
	return h, nil
}

func (a *archive) blob(content []byte) (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil || a.done[h] {
		return h, err
	}
	a.done[h] = true
	return h, a.bytes(blobPath(h), content)
}

func (a *archive) json(name string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return a.bytes(name, content)
}

func (a *archive) bytes(name string, content []byte) error {
	if err := a.header(name, int64(len(content))); err != nil {
		return err
	}
	_, err := a.tw.Write(content)
	return err
}

func (a *archive) header(name string, size int64) error {
	return a.tw.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0),
	})
}

func blobPath(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
