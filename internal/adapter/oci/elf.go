package oci

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/tatami-platform/tatami/internal/control"
)

// program reads the header of the ELF program at path and returns its platform,
// e.g. linux/arm64. A file that can't run alone in an empty image is refused
// with the way to build one that can.
func program(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", openError(path, err)
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if string(head) != elf.ELFMAG {
		return "", notLinux(path, head)
	}
	header, err := elf.NewFile(f)
	if err != nil {
		return "", &control.Problem{
			What: path + " is a damaged program", Why: err,
			Next: "build it again",
		}
	}
	if err := standsAlone(path, header); err != nil {
		return "", err
	}
	arch, err := architecture(header)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return "linux/" + arch, nil
}

func openError(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &control.Problem{
			What: path + " does not exist",
			Next: "give the path of a program for Linux, or of a folder that holds one",
		}
	}
	return err
}

const rebuild = "build it with CGO_ENABLED=0 GOOS=linux go build, or another compiler's way to link statically"

// standsAlone refuses what needs files or a kernel that the image won't have.
func standsAlone(path string, f *elf.File) error {
	if system := foreignSystem(f); system != "" {
		return &control.Problem{What: path + " is a program for " + system + ", not for Linux", Next: rebuild}
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return &control.Problem{What: path + " is an object file, not a program", Next: rebuild}
	}
	needs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: libraries it needs: %w", path, err)
	}
	loader, err := loaderOf(f)
	if err != nil {
		return fmt.Errorf("%s: loader it needs: %w", path, err)
	}
	if loader != "" {
		needs = append([]string{loader}, needs...)
	}
	if len(needs) == 0 {
		return nil
	}
	return &control.Problem{
		What: path + " is dynamically linked",
		Why:  fmt.Errorf("it needs %s, which an image made of this program alone does not have", strings.Join(needs, ", ")),
		Next: rebuild,
	}
}

// foreignSystem names the system of a program that is not for Linux. NetBSD and
// OpenBSD leave the field of the header empty and add a note.
func foreignSystem(f *elf.File) string {
	if f.OSABI != elf.ELFOSABI_NONE && f.OSABI != elf.ELFOSABI_LINUX {
		return strings.ToLower(strings.TrimPrefix(f.OSABI.String(), "ELFOSABI_"))
	}
	for _, system := range []string{"netbsd", "openbsd"} {
		if f.Section(".note."+system+".ident") != nil {
			return system
		}
	}
	return ""
}

// loaderOf is the dynamic loader that the kernel would start instead.
func loaderOf(f *elf.File) (string, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
		return string(bytes.TrimRight(text, "\x00")), err
	}
	return "", nil
}

// notLinux names the kinds of file that people try first.
func notLinux(path string, head []byte) error {
	what := "is not a program for Linux"
	switch {
	case len(bytes.TrimRight(head, "\x00")) == 0:
		what = "is empty"
	case string(head[:2]) == "#!":
		what = "is a script: an image made of it alone has no shell to run it"
	case string(head[:2]) == "MZ":
		what = "is a program for Windows, not for Linux"
	case bytes.Equal(head, []byte{0xcf, 0xfa, 0xed, 0xfe}) || bytes.Equal(head, []byte{0xca, 0xfe, 0xba, 0xbe}):
		what = "is a program for macOS, not for Linux"
	}
	return &control.Problem{What: path + " " + what, Next: rebuild}
}

// architecture maps the ELF machine to GOARCH.
func architecture(f *elf.File) (string, error) {
	type machine struct {
		elf.Machine
		elf.Class
		elf.Data
	}
	known := map[machine]string{
		{elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB}:  "amd64",
		{elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB}:     "386",
		{elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB}: "arm64",
		{elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB}:     "arm",
		{elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB}:   "riscv64",
		{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB}:   "ppc64le",
		{elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB}:    "s390x",
	}
	if arch, ok := known[machine{f.Machine, f.Class, f.Data}]; ok {
		return arch, nil
	}
	return "", fmt.Errorf("processor %s is not one that Kubernetes runs on", f.Machine)
}
