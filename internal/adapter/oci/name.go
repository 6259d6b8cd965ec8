package oci

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tatami-platform/tatami/internal/control"
)

// Name completes an image name as containerd and the kubelet do, so that a pod
// finds the image under the name that its manifest gives: "hello" becomes
// docker.io/library/hello:latest. A name with a digest is refused, because the
// digest of an image to be built is not known.
func Name(s string) (string, error) {
	// The parser also accepts a digest; here it would name another image.
	tag, err := name.NewTag(s)
	if err == nil && strings.Contains(s, "//") {
		// It takes http: for a registry.
		err = errors.New("it is a URL, or has an empty part")
	}
	if err != nil {
		return "", &control.Problem{
			What: fmt.Sprintf("%q is not an image name", s), Why: err,
			Next: "use one such as hello:dev or example.com/team/hello:1.0",
		}
	}
	registry := tag.RegistryStr()
	// The library names Docker Hub by the host that it dials; everything that
	// resolves image names for Kubernetes says docker.io.
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return registry + "/" + tag.RepositoryStr() + ":" + tag.TagStr(), nil
}

// shortTag is the tag of a complete name.
func shortTag(full string) string {
	return full[strings.LastIndex(full, ":")+1:]
}
