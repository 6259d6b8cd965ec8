package oci

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tatami-platform/tatami/internal/control"
)

// DefaultUser is what programs run as when nobody asks otherwise: the number
// that images without a user database use for "nonroot".
const DefaultUser = "65532:65532"

// Spec describes an image.
type Spec struct {
	// Files go into the one layer of the image.
	Files []File
	// Entrypoint is the program and its fixed arguments; empty means the only
	// program among Files.
	Entrypoint []string
	// Args are the default arguments.
	Args []string
	// Env holds KEY=VALUE pairs, kept in their order.
	Env []string
	// Labels by key.
	Labels map[string]string
	// User is numeric, uid or uid:gid; empty means DefaultUser.
	User string
	// Ports that the program listens on, e.g. "8080/tcp".
	Ports []string
	// Platform, e.g. linux/amd64, must be that of the programs; empty takes it
	// from them.
	Platform string
}

// File is a program, a folder or another file of this machine to be packed.
type File struct {
	// Source on this machine. A folder is packed with all that is in it.
	Source string
	// Path in the image; empty means "/" and the base name of a file, or "/"
	// for a folder.
	Path string
}

// Build makes an image of static programs, and of other files beside them.
//
// The digest depends only on spec and the content of the files. Programs are
// packed with mode 0755, other files with 0755 or 0644, all owned by root. A
// program that is dynamically linked, for another system, or of another
// platform than the first is refused. Files are read here and again when the
// image is written; memory use does not depend on their size.
func Build(ctx context.Context, spec Spec) (v1.Image, error) {
	found, err := gather(spec.Files)
	if err != nil {
		return nil, err
	}
	platform, err := commonPlatform(found.programs, spec.Platform)
	if err != nil {
		return nil, err
	}
	config, err := configure(spec, found)
	if err != nil {
		return nil, err
	}
	content, err := newLayer(ctx, found.entries)
	if err != nil {
		return nil, err
	}
	epoch := v1.Time{Time: time.Unix(0, 0).UTC()}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		Created: epoch, Config: config, RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, fmt.Errorf("set the image's configuration: %w", err)
	}
	img, err = mutate.Append(img, mutate.Addendum{
		Layer:     content,
		MediaType: types.OCIUncompressedLayer,
		History:   v1.History{Created: epoch, CreatedBy: "tatami image build"},
	})
	if err != nil {
		return nil, fmt.Errorf("add the image's layer: %w", err)
	}
	return img, nil
}

// Digest is the digest of the image's manifest, e.g. sha256:4f….
func Digest(img v1.Image) (string, error) {
	h, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("digest of the image: %w", err)
	}
	return h.String(), nil
}

// commonPlatform is the one that all programs are for.
func commonPlatform(programs []executable, wanted string) (*v1.Platform, error) {
	if len(programs) == 0 {
		return nil, &control.Problem{
			What: "there is no program for Linux to make an image of",
			Next: "give the path of a program, or of a folder that holds one with the executable bit set",
		}
	}
	first := programs[0]
	for _, p := range programs[1:] {
		if p.platform != first.platform {
			return nil, &control.Problem{
				What: "the programs are for different platforms",
				Why:  fmt.Errorf("%s is for %s, %s for %s", first.source, first.platform, p.source, p.platform),
				Next: "build one image for each platform",
			}
		}
	}
	platform, err := v1.ParsePlatform(first.platform)
	if err != nil {
		return nil, fmt.Errorf("platform of %s: %w", first.source, err)
	}
	if wanted == "" {
		return platform, nil
	}
	asked, err := v1.ParsePlatform(wanted)
	if err != nil || asked.OS != platform.OS || asked.Architecture != platform.Architecture {
		return nil, &control.Problem{
			What: fmt.Sprintf("%s is for %s, not for %s", first.source, first.platform, wanted),
			Next: "build the program for that platform, e.g. with GOARCH=" + path.Base(wanted),
		}
	}
	return asked, nil
}

func configure(spec Spec, found contents) (v1.Config, error) {
	config := v1.Config{
		Entrypoint: spec.Entrypoint, Cmd: spec.Args,
		Labels: spec.Labels, User: spec.User, WorkingDir: "/",
	}
	if config.User == "" {
		config.User = DefaultUser
	}
	if len(config.Entrypoint) == 0 {
		if len(found.programs) > 1 {
			return config, &control.Problem{
				What: "there is more than one program: " + strings.Join(found.paths(), ", "),
				Next: "say which one to run with --entrypoint /PROGRAM",
			}
		}
		config.Entrypoint = found.paths()
	}
	for _, pair := range spec.Env {
		if key, _, ok := strings.Cut(pair, "="); !ok || key == "" {
			return config, fmt.Errorf("environment %q is not KEY=VALUE", pair)
		}
		config.Env = append(config.Env, pair)
	}
	for _, p := range spec.Ports {
		if config.ExposedPorts == nil {
			config.ExposedPorts = map[string]struct{}{}
		}
		config.ExposedPorts[p] = struct{}{}
	}
	return config, nil
}

// cleanPath is where a file goes, without the leading slash.
func cleanPath(f File, isDir bool) string {
	where := f.Path
	if where == "" && !isDir {
		where = filepath.Base(f.Source)
	}
	return strings.TrimPrefix(path.Clean("/"+where), "/")
}
