package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/tatami-platform/tatami/internal/adapter/oci"
	"github.com/tatami-platform/tatami/internal/control"
)

func archive(t *testing.T, images ...oci.Named) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := oci.Write(t.Context(), &b, images...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteIsReadByOtherTools(t *testing.T) {
	img := build(t, oci.Spec{Files: files(hello(t))})
	file := filepath.Join(t.TempDir(), "hello.tar")
	if err := oci.WriteArchive(t.Context(), file, oci.Named{Name: "hello:dev", Image: img}); err != nil {
		t.Fatal(err)
	}
	// As `docker load` reads it.
	tag, err := name.NewTag("docker.io/library/hello:dev")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tarball.ImageFromPath(file, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(loaded, validate.Fast); err != nil {
		t.Errorf("as docker save: %v", err)
	}
	// As tools for OCI layouts read it, after unpacking.
	dir := unpack(t, file)
	found, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(found, validate.Fast); err != nil {
		t.Errorf("as OCI layout: %v", err)
	}
	index, err := found.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	desc := index.Manifests[0]
	if desc.Digest.String() != digest(t, img) {
		t.Errorf("digest %s, built %s", desc.Digest, digest(t, img))
	}
	if got := desc.Annotations["io.containerd.image.name"]; got != "docker.io/library/hello:dev" {
		t.Errorf("name for containerd %q", got)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind %v, error %v", left, err)
	}
}

func unpack(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, member := range members(t, content) {
		write(t, filepath.Join(dir, name), string(member))
	}
	return dir
}

func members(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	tr := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[h.Name] != nil {
			t.Errorf("%s is there twice", h.Name)
		}
		if all[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

// pack makes a tar of members.
func pack(t *testing.T, members map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for name, content := range members {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(content)), Mode: 0o644}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteSharesLayers(t *testing.T) {
	one := build(t, oci.Spec{Files: files(hello(t))})
	two := build(t, oci.Spec{Files: files(hello(t)), Args: []string{"two"}})
	content := archive(t, oci.Named{Name: "one:1", Image: one}, oci.Named{Name: "two:2", Image: two})
	if !bytes.Equal(content, archive(t, oci.Named{Name: "one:1", Image: one}, oci.Named{Name: "two:2", Image: two})) {
		t.Error("the same images gave two archives")
	}
	// members fails on the layer being there twice.
	if n := len(members(t, content)); n != 8 {
		t.Errorf("%d members, want one layer, two configurations, two manifests and three indexes", n)
	}
	images, err := oci.Check(t.Context(), bytes.NewReader(content), io.Discard)
	if err != nil || len(images) != 2 || images[1].Name != "docker.io/library/two:2" {
		t.Errorf("images %v, error %v", images, err)
	}
}

func TestWriteNoticesAFileThatChanged(t *testing.T) {
	for _, change := range []string{"other bytes", "longer", "shorter", "gone"} {
		t.Run(change, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "data.txt")
			copyProgram(t, hello(t), filepath.Join(dir, "hello"))
			write(t, file, "before")
			img := build(t, oci.Spec{Files: files(dir)})
			switch change {
			case "other bytes":
				write(t, file, "behind")
			case "longer":
				write(t, file, "before and after")
			case "shorter":
				write(t, file, "be")
			case "gone":
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			out := filepath.Join(t.TempDir(), "out.tar")
			if err := oci.WriteArchive(t.Context(), out, oci.Named{Name: "a:b", Image: img}); err == nil {
				t.Error("an image was written that is not what its digest says")
			}
			left, err := os.ReadDir(filepath.Dir(out))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind %v, error %v", left, err)
			}
		})
	}
}

func TestCheckCopiesPlain(t *testing.T) {
	img := build(t, oci.Spec{Files: files(hello(t))})
	plain := archive(t, oci.Named{Name: "hello:dev", Image: img})
	want := []control.Image{{Name: "docker.io/library/hello:dev", Digest: digest(t, img), Platform: "linux/amd64"}}
	for name, content := range map[string][]byte{"plain": plain, "gzip": zip(t, plain)} {
		var copied bytes.Buffer
		got, err := oci.Check(t.Context(), bytes.NewReader(content), &copied)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: images (-want +got):\n%s", name, diff)
		}
		if !bytes.Equal(copied.Bytes(), plain) {
			t.Errorf("%s: the copy differs from the plain archive", name)
		}
	}
}

func zip(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCheckDockerSave(t *testing.T) {
	img := build(t, oci.Spec{Files: files(hello(t))})
	tag, err := name.NewTag("team/hello:1.0")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tarball.Write(tag, img, &b); err != nil {
		t.Fatal(err)
	}
	got, err := oci.Check(t.Context(), &b, io.Discard)
	want := []control.Image{{Name: "docker.io/team/hello:1.0", Platform: "linux/amd64"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, images (-want +got):\n%s", err, diff)
	}
}

func TestCheckIndexOfPlatforms(t *testing.T) {
	amd := build(t, oci.Spec{Files: files(hello(t))})
	arm := build(t, oci.Spec{Files: files(programs.program(t, "linux", "arm64"))})
	both := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: amd}, mutate.IndexAddendum{Add: arm})
	dir := t.TempDir()
	top, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{"org.opencontainers.image.ref.name": "example.com/hello:1"}
	if err := top.AppendIndex(both, layout.WithAnnotations(named)); err != nil {
		t.Fatal(err)
	}
	all := folder(t, dir)
	got, err := oci.Check(t.Context(), bytes.NewReader(pack(t, all)), io.Discard)
	if err != nil || len(got) != 1 || got[0].Name != "example.com/hello:1" || got[0].Platform != "linux/amd64,linux/arm64" {
		t.Errorf("images %+v, error %v", got, err)
	}
	// Saved for one platform: the other's manifest is not there.
	delete(all, blob(t, arm))
	got, err = oci.Check(t.Context(), bytes.NewReader(pack(t, all)), io.Discard)
	if err != nil || len(got) != 1 || got[0].Platform != "linux/amd64" {
		t.Errorf("one platform: images %+v, error %v", got, err)
	}
	delete(all, blob(t, amd))
	_, err = oci.Check(t.Context(), bytes.NewReader(pack(t, all)), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no platform of it is complete") {
		t.Errorf("no platform: error %v", err)
	}
}

func blob(t *testing.T, img v1.Image) string {
	t.Helper()
	return "blobs/sha256/" + strings.TrimPrefix(digest(t, img), "sha256:")
}

func folder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// refusal is an archive that Check has to refuse.
type refusal struct {
	name    string
	content []byte
	want    string
	next    string
}

func (r refusal) test(t *testing.T) {
	images, err := oci.Check(t.Context(), bytes.NewReader(r.content), io.Discard)
	if err == nil || !strings.Contains(err.Error(), r.want) {
		t.Fatalf("images %v, error %v, want %q", images, err, r.want)
	}
	if next := control.NextStep(err); !strings.Contains(next, r.next) {
		t.Errorf("next step %q, want %q", next, r.next)
	}
}

func TestCheckRefusesOtherFiles(t *testing.T) {
	good := archive(t, oci.Named{Name: "hello:dev", Image: build(t, oci.Spec{Files: files(hello(t))})})
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for _, r := range []refusal{
		{"empty", nil, "the file is empty", "docker save"},
		{"text", []byte("hello, world"), "not a tar file", "docker save"},
		{"long text", bytes.Repeat([]byte("hello, world\n"), 1000), "not a tar file", "docker save"},
		{"gzip'd text", zip(t, []byte("hello")), "not a tar file", "docker save"},
		{"gzip head alone", []byte{0x1f, 0x8b, 8, 0}, "damaged", "again"},
		{"zstd", []byte("\x28\xb5\x2f\xfd and so on"), "compressed with zstd", "zstd -d"},
		{"xz", []byte("\xfd7zXZ\x00 and so on"), "compressed with xz", "xz -d"},
		{"empty tar", pack(t, nil), "nothing in it", "docker save"},
		{"other tar", pack(t, map[string][]byte{"README": []byte("x")}), "but not one of images", "docker save"},
		{"root folder", pack(t, map[string][]byte{"etc/passwd": []byte("x")}), "but not one of images", "image build FOLDER"},
		{"cut short", good[:len(good)/2], "ends too early", "again"},
		{"gzip cut short", zip(t, good)[:5000], "ends too early", "again"},
		{"flipped bit", flipped, "not what its digest says", "again"},
		{"sparse", sparseTar(t), "is a sparse file", "docker save"},
	} {
		t.Run(r.name, r.test)
	}
}

// sparseTar holds a file of 2^60 zeros.
func sparseTar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	// The writer refuses the records of sparse files by themselves; what they
	// stand for is the same with another letter, changed below.
	h := &tar.Header{
		Name: "x", Typeflag: tar.TypeReg, Size: 512, Mode: 0o644,
		PAXRecords: map[string]string{
			"GNX.sparse.major": "1", "GNX.sparse.minor": "0",
			"GNX.sparse.name": "x", "GNX.sparse.realsize": "1152921504606846976",
		},
	}
	if err := tw.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write(append([]byte("0\n"), make([]byte, 510)...)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("GNX."), []byte("GNU."))
}

func TestCheckRefusesIncompleteImages(t *testing.T) {
	img := build(t, oci.Spec{Files: files(hello(t))})
	good := archive(t, oci.Named{Name: "hello:dev", Image: img})
	with := func(change func(map[string][]byte)) []byte {
		all := members(t, good)
		change(all)
		return pack(t, all)
	}
	without := func(names ...string) []byte {
		return with(func(all map[string][]byte) {
			for _, name := range names {
				delete(all, name)
			}
		})
	}
	index := func(text string) []byte {
		return with(func(all map[string][]byte) { all["index.json"] = []byte(text) })
	}
	layer, manifest := layerBlob(t, img), blob(t, img)
	for _, r := range []refusal{
		{"no layer", without(layer), "is not complete: layer sha256:", "again"},
		{"no manifest", without(manifest), "is not in the archive", "again"},
		{"no index", without("index.json"), "index.json is not in the archive", ""},
		{"index is text", index("x"), "index.json is not a JSON document", ""},
		{"index is cut", index("{"), "index.json: unexpected end", ""},
		{"no name", with(func(all map[string][]byte) { all["index.json"] = unnamed(t, all["index.json"]) }), "have no names", "docker save"},
		{"docker: no layer", without("oci-layout", layer), "is not in the archive", "again"},
		{
			"docker: no name",
			with(func(all map[string][]byte) {
				delete(all, "oci-layout")
				all["manifest.json"] = bytes.Replace(all["manifest.json"], []byte(`["docker.io/library/hello:dev"]`), []byte("null"), 1)
			}),
			"have no names", "docker save",
		},
	} {
		t.Run(r.name, r.test)
	}
}

// unnamed leaves only the tag of the first image, which names nothing.
func unnamed(t *testing.T, content []byte) []byte {
	t.Helper()
	var index v1.IndexManifest
	if err := json.Unmarshal(content, &index); err != nil {
		t.Fatal(err)
	}
	index.Manifests[0].Annotations = map[string]string{"org.opencontainers.image.ref.name": "dev"}
	content, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func layerBlob(t *testing.T, img v1.Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	hash, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return "blobs/sha256/" + hash.Hex
}

func TestCheckStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := oci.Check(ctx, strings.NewReader("x"), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// full fails like a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestErrorsOfTheWriterArePassedOn(t *testing.T) {
	img := build(t, oci.Spec{Files: files(hello(t))})
	content := archive(t, oci.Named{Name: "hello:dev", Image: img})
	if err := oci.Write(t.Context(), full{}, oci.Named{Name: "hello:dev", Image: img}); err == nil {
		t.Error("writing to a full disk went well")
	}
	_, err := oci.Check(t.Context(), bytes.NewReader(content), full{})
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("copying to a full disk: error %v", err)
	}
}

// FuzzCheck: no input may panic, and what is accepted has names.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte(strings.Repeat("\x00", 1024)))
	f.Fuzz(func(t *testing.T, content []byte) {
		images, err := oci.Check(t.Context(), bytes.NewReader(content), io.Discard)
		if err == nil && (len(images) == 0 || images[0].Name == "") {
			t.Errorf("accepted without a name: %v", images)
		}
	})
}

func TestImages(t *testing.T) {
	var b bytes.Buffer
	got, err := oci.Images{}.Build(t.Context(), control.ImageSpec{Source: hello(t), Name: "hello:dev"}, &b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "docker.io/library/hello:dev" || got.Platform != "linux/amd64" || got.SizeBytes < 100_000 {
		t.Errorf("built %+v", got)
	}
	checked, err := oci.Images{}.Check(t.Context(), &b, io.Discard)
	if err != nil || checked[0].Digest != got.Digest {
		t.Errorf("checked %+v, error %v", checked, err)
	}
	if _, err := (oci.Images{}).Build(t.Context(), control.ImageSpec{Source: hello(t), Name: "No Name"}, &b); err == nil {
		t.Error("a name that is none was accepted")
	}
}
