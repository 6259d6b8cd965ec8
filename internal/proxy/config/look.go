package config

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// racyTime is how long after its modification a file may change once more without
// another time stamp (coarse clocks of file systems); it is read again until then.
const racyTime = 2 * time.Second

// stats is what files looked like; nil: not there. Symbolic links are followed, so
// that the swap of a link is a change of the file.
type stats map[string]fs.FileInfo

func take(paths []string) stats {
	s := make(stats, len(paths))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			info = nil
		}
		s[path] = info
	}
	return s
}

// same compares size, time of modification, and device and inode.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

func (s stats) equal(o stats) bool { return maps.EqualFunc(s, o, same) }

// look notices that files changed, from what the file system says about them.
type look struct {
	last   stats // at the last poll
	read   stats // when they were last read
	readAt time.Time
}

// poll says that the files should be read: they are not those that were read, and
// looked the same at two polls, so that nobody is in the middle of writing them.
// The caller reads and asks settled.
func (l *look) poll(paths []string) bool {
	current := take(paths)
	still := current.equal(l.last)
	l.last = current
	return still && (!current.equal(l.read) || l.racy(current))
}

func (l *look) racy(current stats) bool {
	for _, info := range current {
		if info != nil && l.readAt.Sub(info.ModTime()) < racyTime {
			return true
		}
	}
	return false
}

// settled says that nothing changed since the poll, so that what was read belongs
// together.
func (l *look) settled() bool {
	paths := slices.Collect(maps.Keys(l.last))
	if !take(paths).equal(l.last) {
		return false
	}
	l.read, l.readAt = l.last, time.Now()
	return true
}
