package manifest

import (
	"errors"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/control"
)

// Charts renders the Helm chart at a path, with the values and the namespace of
// the sources.
type Charts func(path string, from control.Sources) (map[string]string, error)

var errNoHelm = errors.New("this program is built without Helm")

// chart reads what a chart makes. Notes are left out; hooks are listed as
// skipped.
func (s *Set) chart(from string) error {
	if s.charts == nil {
		return &control.Problem{
			What: "cannot render the chart " + from,
			Why:  errNoHelm,
			Next: "run `helm template " + from + "` and name its output, or - for standard input",
		}
	}
	rendered, err := s.charts(from, s.from)
	if known, ok := errors.AsType[*control.Problem](err); ok {
		return known
	}
	if err != nil {
		return &control.Problem{
			What: "cannot render the chart " + from,
			Why:  err,
			Next: "see what `helm template " + from + "` says; `helm dependency build` fetches charts that are missing",
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		base := path.Base(name)
		if strings.HasPrefix(base, "_") || base == "NOTES.txt" {
			continue
		}
		if err := s.text(path.Join(filepath.ToSlash(filepath.Dir(from)), name), []byte(rendered[name])); err != nil {
			return err
		}
	}
	return nil
}
