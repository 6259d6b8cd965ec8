package oci_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/tatami-platform/tatami/internal/adapter/oci"
	"github.com/tatami-platform/tatami/internal/control"
)

func build(t *testing.T, spec oci.Spec) v1.Image {
	t.Helper()
	img, err := oci.Build(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := oci.Digest(img)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func files(sources ...string) []oci.File {
	var all []oci.File
	for _, s := range sources {
		all = append(all, oci.File{Source: s})
	}
	return all
}

// listing is what `tar -tv` would show, with the content of small files.
func listing(t *testing.T, img v1.Image) []string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, error %v", len(layers), err)
	}
	stream, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var all []string
	tr := tar.NewReader(stream)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, listed(t, h, tr))
	}
}

// listed is one line of listing; owner and time are the same for all.
func listed(t *testing.T, h *tar.Header, content io.Reader) string {
	t.Helper()
	if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.ModTime.Unix() != 0 {
		t.Errorf("%s: owner %d:%d %q, time %s", h.Name, h.Uid, h.Gid, h.Uname, h.ModTime)
	}
	line := fmt.Sprintf("%04o %s", h.Mode, h.Name)
	if h.Linkname != "" {
		line += " -> " + h.Linkname
	}
	if h.Size == 0 || h.Size >= 100 {
		return line
	}
	text, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return line + " = " + string(text)
}

func TestBuildProgram(t *testing.T) {
	img := build(t, oci.Spec{
		Files: files(hello(t)), Args: []string{"serve"}, Env: []string{"B=2", "A=1"},
		Labels: map[string]string{"team": "shop"}, Ports: []string{"8080/tcp"},
	})
	// Fast: the library takes each layer for gzip'd; listing reads ours.
	if err := validate.Image(img, validate.Fast); err != nil {
		t.Errorf("not a valid image: %v", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Entrypoint: []string{"/hello"}, Cmd: []string{"serve"}, Env: []string{"B=2", "A=1"},
		Labels: map[string]string{"team": "shop"}, User: "65532:65532", WorkingDir: "/",
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if got := config.Platform().String(); got != "linux/amd64" {
		t.Errorf("platform %s", got)
	}
	if diff := cmp.Diff([]string{"0755 hello", "1777 tmp/"}, listing(t, img)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	first := build(t, oci.Spec{Files: files(hello(t)), Labels: map[string]string{"a": "1", "b": "2", "c": "3"}})
	// The same content elsewhere, newer and with another mode.
	other := filepath.Join(t.TempDir(), "deep", "hello")
	copyProgram(t, hello(t), other)
	if err := errors.Join(os.Chmod(other, 0o700), os.Chtimes(other, time.Time{}, time.Unix(2e9, 0))); err != nil {
		t.Fatal(err)
	}
	second := build(t, oci.Spec{Files: files(other), Labels: map[string]string{"c": "3", "b": "2", "a": "1"}})
	if a, b := digest(t, first), digest(t, second); a != b {
		t.Errorf("the same input gave %s and %s", a, b)
	}
	third := build(t, oci.Spec{Files: files(hello(t)), Labels: map[string]string{"a": "1"}})
	if digest(t, first) == digest(t, third) {
		t.Error("another input gave the same digest")
	}
}

func TestBuildFolder(t *testing.T) {
	root := t.TempDir()
	copyProgram(t, hello(t), filepath.Join(root, "app", "bin", "hello"))
	write(t, filepath.Join(root, "etc", "hello.conf"), "greeting")
	write(t, filepath.Join(root, "run.sh"), "#!/app/bin/hello")
	write(t, filepath.Join(root, ".hidden"), "x")
	if err := errors.Join(
		os.Chmod(filepath.Join(root, "run.sh"), 0o755),
		os.Symlink("app/bin/hello", filepath.Join(root, "hello")),
		os.Mkdir(filepath.Join(root, "empty"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0644 .hidden = x", "0755 app/", "0755 app/bin/", "0755 app/bin/hello", "0755 empty/",
		"0755 etc/", "0644 etc/hello.conf = greeting", "0777 hello -> app/bin/hello",
		"0755 run.sh = #!/app/bin/hello", "1777 tmp/",
	}
	img := build(t, oci.Spec{Files: files(root)})
	if diff := cmp.Diff(want, listing(t, img)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	config, err := img.ConfigFile()
	if err != nil || config.Config.Entrypoint[0] != "/app/bin/hello" {
		t.Errorf("entrypoint %v, error %v", config.Config.Entrypoint, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	if a, b := digest(t, img), digest(t, build(t, oci.Spec{Files: files(link)})); a != b {
		t.Errorf("a link to the folder gave %s, the folder %s", b, a)
	}
}

func TestBuildSeveralPrograms(t *testing.T) {
	two := filepath.Join(t.TempDir(), "two")
	copyProgram(t, hello(t), two)
	img := build(t, oci.Spec{
		Files:      []oci.File{{Source: hello(t), Path: "/opt/one"}, {Source: two}},
		Entrypoint: []string{"/two", "--flag"}, User: "1000",
	})
	want := []string{"0755 opt/", "0755 opt/one", "1777 tmp/", "0755 two"}
	if diff := cmp.Diff(want, listing(t, img)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

func TestBuildPlatforms(t *testing.T) {
	arm := programs.program(t, "linux", "arm64")
	for _, tt := range []struct{ file, asked, want string }{
		{hello(t), "linux/amd64", "linux/amd64"},
		{arm, "", "linux/arm64"},
		{arm, "linux/arm64/v8", "linux/arm64/v8"},
	} {
		config, err := build(t, oci.Spec{Files: files(tt.file), Platform: tt.asked}).ConfigFile()
		if err != nil || config.Platform().String() != tt.want {
			t.Errorf("platform %s for %q, want %s; error %v", config.Platform(), tt.asked, tt.want, err)
		}
	}
}

// refused makes the things that Build has to refuse and returns their folder.
func refused(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("text"), "just text")
	write(t, path("script"), "#!/bin/sh\n")
	write(t, path("empty"), "")
	write(t, path("short"), "\x7fE")
	write(t, path("damaged"), "\x7fELF and then nothing of the kind")
	write(t, path("data/only.txt"), "text")
	write(t, path("windows"), "MZ\x90\x00\x03")
	write(t, path("macos"), "\xcf\xfa\xed\xfe\x07")
	elf, err := os.ReadFile(hello(t))
	if err != nil {
		t.Fatal(err)
	}
	// Byte 7 of an ELF file names the system, 9 is FreeBSD; byte 18 the
	// processor, 1 is one that nobody has.
	write(t, path("freebsd"), string(elf[:7])+"\x09"+string(elf[8:]))
	write(t, path("ancient"), string(elf[:18])+"\x01"+string(elf[19:]))
	copyProgram(t, hello(t), path("pair/a"))
	copyProgram(t, hello(t), path("pair/b"))
	copyProgram(t, hello(t), path("mixed/a"))
	copyProgram(t, programs.program(t, "linux", "arm64"), path("mixed/b"))
	if err := os.Mkdir(path("sockets"), 0o755); err != nil {
		t.Fatal(err)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "unix", path("sockets/s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return dir
}

func TestBuildRefusesADynamicProgram(t *testing.T) {
	// A system tool; there is none on systems that link all of them statically.
	const dynamic = "/bin/ls"
	if _, err := os.Stat(dynamic); err != nil {
		t.Skip(err)
	}
	_, err := oci.Build(t.Context(), oci.Spec{Files: files(dynamic)})
	if err == nil || !strings.Contains(err.Error(), "/bin/ls is dynamically linked: it needs /lib") {
		t.Errorf("error %v", err)
	}
	if next := control.NextStep(err); !strings.Contains(next, "CGO_ENABLED=0") {
		t.Errorf("next step %q", next)
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := refused(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name string
		spec oci.Spec
		want string
		next string
	}{
		{"text", oci.Spec{Files: files(path("text"))}, "is not a program for Linux", "CGO_ENABLED=0"},
		{"script", oci.Spec{Files: files(path("script"))}, "is a script", ""},
		{"empty file", oci.Spec{Files: files(path("empty"))}, "is empty", ""},
		{"two bytes", oci.Spec{Files: files(path("short"))}, "is not a program for Linux", ""},
		{"damaged", oci.Spec{Files: files(path("damaged"))}, "is a damaged program", ""},
		{"missing", oci.Spec{Files: files(path("none"))}, "none does not exist", "path of a program"},
		{"windows", oci.Spec{Files: files(path("windows"))}, "program for Windows", ""},
		{"macos", oci.Spec{Files: files(path("macos"))}, "program for macOS", ""},
		{"freebsd", oci.Spec{Files: files(path("freebsd"))}, "program for freebsd", "GOOS=linux"},
		{"processor", oci.Spec{Files: files(path("ancient"))}, "processor EM_M32 is not one", ""},
		{"no program", oci.Spec{Files: files(path("data"))}, "no program for Linux", ""},
		{"no files", oci.Spec{}, "no program for Linux", ""},
		{"which program", oci.Spec{Files: files(path("pair"))}, "more than one program: /a, /b", "--entrypoint"},
		{"two platforms", oci.Spec{Files: files(path("mixed"))}, "different platforms", ""},
		{"other platform", oci.Spec{Files: files(hello(t)), Platform: "linux/arm64"}, "is for linux/amd64, not for linux/arm64", "GOARCH=arm64"},
		{"environment", oci.Spec{Files: files(hello(t)), Env: []string{"novalue"}}, `"novalue" is not KEY=VALUE`, ""},
		{"socket", oci.Spec{Files: files(path("sockets"))}, "is a socket", ""},
		{"device", oci.Spec{Files: files("/dev/null")}, "neither a file nor a folder", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := oci.Build(t.Context(), tt.spec)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if next := control.NextStep(err); !strings.Contains(next, tt.next) {
				t.Errorf("next step %q, want %q", next, tt.next)
			}
		})
	}
}

func TestBuildStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := oci.Build(ctx, oci.Spec{Files: files(hello(t))}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestName(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"hello", "docker.io/library/hello:latest"},
		{"hello:dev", "docker.io/library/hello:dev"},
		{"team/hello:dev", "docker.io/team/hello:dev"},
		{"docker.io/library/hello:dev", "docker.io/library/hello:dev"},
		{"index.docker.io/team/hello", "docker.io/team/hello:latest"},
		{"tatami.dev/shop:dev", "tatami.dev/shop:dev"},
		{"localhost:5000/hello", "localhost:5000/hello:latest"},
		{"example.com:443/a/b/c:1.0", "example.com:443/a/b/c:1.0"},
		{"", ""},
		{"Hello", ""},
		{"hello:", ""},
		{"hello dev", ""},
		{"hello@sha256:" + strings.Repeat("0", 64), ""},
		{"http://example.com/hello", ""},
	} {
		got, err := oci.Name(tt.in)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%q gave %q, error %v; want %q", tt.in, got, err, tt.want)
		}
		if err == nil {
			// What is complete stays as it is.
			if again, err := oci.Name(got); again != got || err != nil {
				t.Errorf("%q became %q, error %v", got, again, err)
			}
		}
	}
}
