package oci

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/tatami-platform/tatami/internal/control"
)

// contents is what was found on this machine for an image.
type contents struct {
	entries  []entry
	programs []executable
}

// executable is a program that the image will hold.
type executable struct {
	source   string
	path     string
	platform string
}

// paths of the programs in the image.
func (c contents) paths() []string {
	all := make([]string, len(c.programs))
	for i, p := range c.programs {
		all[i] = "/" + p.path
	}
	return all
}

// gather looks at all files before any is packed, so that a wrong one is
// refused at once.
func gather(files []File) (contents, error) {
	var c contents
	for _, f := range files {
		info, err := os.Stat(f.Source)
		if err != nil {
			return c, openError(f.Source, err)
		}
		where := cleanPath(f, info.IsDir())
		switch {
		case info.IsDir():
			err = c.folder(f.Source, where)
		case info.Mode().IsRegular():
			// A file named by itself is meant to be the program.
			err = c.program(f.Source, where, info.Size())
		default:
			err = fmt.Errorf("%s is neither a file nor a folder", f.Source)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *contents) program(source, where string, size int64) error {
	platform, err := program(source)
	if err != nil {
		return err
	}
	c.programs = append(c.programs, executable{source: source, path: where, platform: platform})
	c.entries = append(c.entries, entry{path: where, source: source, mode: 0o755, size: size})
	return nil
}

func (c *contents) folder(root, where string) error {
	// Walking starts at a folder only: a link to one would be taken as a file.
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read folder %s: %w", root, err)
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return fmt.Errorf("read folder %s: %w", root, err)
		}
		if rel == "." {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("read folder %s: %w", root, err)
		}
		return c.member(file, path.Join(where, filepath.ToSlash(rel)), info)
	})
}

// member adds one thing found in a folder.
func (c *contents) member(source, where string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		c.entries = append(c.entries, entry{path: where, mode: 0o755})
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(source)
		if err != nil {
			return fmt.Errorf("read link: %w", err)
		}
		c.entries = append(c.entries, entry{path: where, link: target, mode: 0o777})
	case !info.Mode().IsRegular():
		return &control.Problem{
			What: fmt.Sprintf("%s is a %s, which an image can't hold", source, kind(info.Mode())),
			Next: "remove it from the folder",
		}
	case info.Mode()&0o111 == 0:
		c.entries = append(c.entries, entry{path: where, source: source, mode: 0o644, size: info.Size()})
	default:
		isProgram, err := startsAsELF(source)
		if err != nil {
			return err
		}
		if isProgram {
			return c.program(source, where, info.Size())
		}
		c.entries = append(c.entries, entry{path: where, source: source, mode: 0o755, size: info.Size()})
	}
	return nil
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "device"
}

func startsAsELF(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, fmt.Errorf("read program: %w", err)
	}
	defer f.Close()
	head := make([]byte, len(elf.ELFMAG))
	_, err = io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read program %s: %w", file, err)
	}
	return string(head) == elf.ELFMAG, nil
}
