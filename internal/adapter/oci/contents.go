package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tatami-platform/tatami/internal/control"
)

// maxDepth bounds indexes inside indexes; real ones are two deep.
const maxDepth = 4

// images reads the archive as containerd does: an OCI layout where oci-layout
// is present, else the format of `docker save`.
func (a *archived) images() ([]control.Image, error) {
	switch {
	case a.members["oci-layout"]:
		return a.layout()
	case a.members["manifest.json"]:
		return a.saved()
	case len(a.members) == 0:
		return nil, notArchive("is a tar file with nothing in it")
	}
	problem := &control.Problem{
		What: "the file is a tar file, but not one of images",
		Why:  errors.New("it has neither an oci-layout nor a manifest.json"),
		Next: howToSave,
	}
	if a.hasRootFolder() {
		problem.Next = "it looks like the files of a root folder: unpack it, and run `tatami image build FOLDER -t NAME`"
	}
	return nil, problem
}

func (a *archived) hasRootFolder() bool {
	for name := range a.members {
		switch top, _, _ := strings.Cut(name, "/"); top {
		case "bin", "etc", "usr", "lib":
			return true
		}
	}
	return false
}

// layout reads an OCI image layout.
func (a *archived) layout() ([]control.Image, error) {
	var index v1.IndexManifest
	if err := a.read("index.json", &index); err != nil {
		return nil, err
	}
	var images []control.Image
	for _, desc := range index.Manifests {
		name := layoutName(desc.Annotations)
		if name == "" {
			continue
		}
		platforms, err := a.manifest(desc, 0)
		if err != nil {
			return nil, incomplete(name, err)
		}
		images = append(images, control.Image{
			Name: name, Digest: desc.Digest.String(), Platform: strings.Join(platforms, ","),
		})
	}
	return images, nil
}

// layoutName is the full name in an index, as far as containerd would take it
// for one: a bare tag names nothing.
func layoutName(annotations map[string]string) string {
	name := annotations[annotationFullName]
	if name == "" {
		name = annotations[annotationRefName]
		if !strings.ContainsAny(name, "/:") {
			return ""
		}
	}
	full, err := Name(name)
	if err != nil {
		// Names with a digest stay as they are.
		return name
	}
	return full
}

// manifest follows a descriptor to its layers and returns the platforms for
// which all parts are there. An index may lack some of its platforms, as that
// is how tools save one of several.
func (a *archived) manifest(desc v1.Descriptor, depth int) ([]string, error) {
	if depth > maxDepth {
		return nil, errors.New("its indexes are nested too deep")
	}
	if desc.MediaType.IsIndex() {
		return a.index(desc, depth)
	}
	var m v1.Manifest
	if err := a.read(blobPath(desc.Digest), &m); err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		if !a.members[blobPath(l.Digest)] {
			return nil, fmt.Errorf("layer %s is not in the archive", l.Digest)
		}
	}
	var config v1.ConfigFile
	if err := a.read(blobPath(m.Config.Digest), &config); err != nil {
		return nil, err
	}
	return []string{config.Platform().String()}, nil
}

func (a *archived) index(desc v1.Descriptor, depth int) ([]string, error) {
	var index v1.IndexManifest
	if err := a.read(blobPath(desc.Digest), &index); err != nil {
		return nil, err
	}
	var platforms []string
	var missing error
	for _, child := range index.Manifests {
		if child.Platform != nil && child.Platform.OS == "unknown" {
			// An attestation, not an image.
			continue
		}
		found, err := a.manifest(child, depth+1)
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		platforms = append(platforms, found...)
	}
	if len(platforms) == 0 {
		return nil, errors.Join(errors.New("no platform of it is complete"), missing)
	}
	slices.Sort(platforms)
	return slices.Compact(platforms), nil
}

// saved reads the format of `docker save`.
func (a *archived) saved() ([]control.Image, error) {
	var list []savedImage
	if err := a.read("manifest.json", &list); err != nil {
		return nil, err
	}
	var images []control.Image
	for _, s := range list {
		label := strings.Join(s.RepoTags, ", ")
		for _, l := range s.Layers {
			if !a.members[l] {
				return nil, incomplete(label, fmt.Errorf("layer %s is not in the archive", l))
			}
		}
		var config v1.ConfigFile
		if err := a.read(s.Config, &config); err != nil {
			return nil, incomplete(label, err)
		}
		for _, tag := range s.RepoTags {
			full, err := Name(tag)
			if err != nil {
				return nil, fmt.Errorf("name in the archive: %w", err)
			}
			images = append(images, control.Image{Name: full, Platform: config.Platform().String()})
		}
	}
	return images, nil
}

func (a *archived) read(name string, into any) error {
	document, ok := a.documents[name]
	if !ok {
		if a.members[name] {
			return fmt.Errorf("%s is not a JSON document", name)
		}
		return fmt.Errorf("%s is not in the archive", name)
	}
	if err := json.Unmarshal(document, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func incomplete(name string, err error) error {
	return &control.Problem{What: "image " + name + " is not complete", Why: err, Next: "save it again"}
}
