package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"

	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/internal/adapter/oci"
	"github.com/tatami-platform/tatami/internal/control"
)

// imageNamespace is where kubelet's images live in containerd.
const imageNamespace = "k8s.io"

const containerdTimeout = 30 * time.Second

// Images is the node's image store.
type Images struct{ c *client.Client }

// OpenImages connects to the node's containerd; it works from the host, too.
func OpenImages(c instance.Config) (*Images, error) {
	cl, err := client.New(c.ContainerdSocket(), client.WithDefaultNamespace(imageNamespace), client.WithTimeout(containerdTimeout))
	if err != nil {
		return nil, fmt.Errorf("connect to the node's containerd: %w", err)
	}
	return &Images{c: cl}, nil
}

// Close ends the connection.
func (i *Images) Close() error { return i.c.Close() }

// Ready says whether the part of containerd that kubelet talks to answers; it
// comes up after the socket does.
func (i *Images) Ready(ctx context.Context) error {
	conn, ok := i.c.Conn().(*grpc.ClientConn)
	if !ok {
		return errors.New("containerd is not reached by gRPC")
	}
	_, err := runtimeapi.NewRuntimeServiceClient(conn).Status(ctx, &runtimeapi.StatusRequest{})
	return err
}

// Import loads an archive and unpacks it, so that the first pod need not wait.
func (i *Images) Import(ctx context.Context, archive string) ([]string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	imported, err := i.c.Import(ctx, f, client.WithAllPlatforms(false))
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", archive, err)
	}
	names := make([]string, 0, len(imported))
	for _, img := range imported {
		if err := client.NewImage(i.c, img).Unpack(ctx, ""); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", img.Name, err)
		}
		names = append(names, img.Name)
	}
	return names, nil
}

// Has says whether the store holds name with that digest, unpacked.
func (i *Images) Has(ctx context.Context, name, digest string) (bool, error) {
	img, err := i.c.GetImage(ctx, name)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if img.Target().Digest.String() != digest {
		return false, nil
	}
	return img.IsUnpacked(ctx, "")
}

// EnsureProgram makes an image of one of our own programs, unless the store has
// it: the same program always gives the same digest.
func (i *Images) EnsureProgram(ctx context.Context, c instance.Config, program, name string) error {
	source := filepath.Join(c.ProgramsDir, program)
	if _, err := os.Stat(source); err != nil {
		return &control.Problem{
			What: "the program " + program + " is missing",
			Why:  err,
			Next: "run `make build`, which puts it beside tatami",
		}
	}
	img, err := oci.Build(ctx, oci.Spec{Files: []oci.File{{Source: source}}})
	if err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	digest, err := oci.Digest(img)
	if err != nil {
		return err
	}
	if ok, err := i.Has(ctx, name, digest); err != nil || ok {
		return err
	}
	archive := c.Path("node", "import-"+program+".tar")
	defer func() { _ = os.Remove(archive) }()
	if err := oci.WriteArchive(ctx, archive, oci.Named{Name: name, Image: img}); err != nil {
		return err
	}
	_, err = i.Import(ctx, archive)
	return err
}

// waitContainerd waits until the CRI plugin answers, not only the socket.
func waitContainerd(ctx context.Context, c instance.Config) (*Images, error) {
	ctx, cancel := context.WithTimeout(ctx, containerdTimeout)
	defer cancel()
	last := errors.New("its socket did not appear")
	for {
		if _, err := os.Stat(c.ContainerdSocket()); err == nil {
			images, err := OpenImages(c)
			if err == nil {
				if err = images.Ready(ctx); err == nil {
					return images, nil
				}
				_ = images.Close()
			}
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, &control.Problem{
				What: "containerd does not start",
				Why:  last,
				Next: "see " + c.Path("log", "containerd.log"),
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
}
