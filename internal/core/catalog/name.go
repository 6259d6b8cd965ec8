package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrName is wrapped by errors of [NamedShape].
var ErrName = errors.New("not the name of an instance type, such as m7g.xlarge")

// NamedShape is a shape of which only the name is known, and what follows from
// it: family, size, category, generation, and whether it is metal, burstable or
// flexible.
func NamedShape(name string) (Shape, error) {
	family, size, ok := strings.Cut(name, ".")
	if !ok || family == "" || size == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return Shape{}, fmt.Errorf("%q: %w", name, ErrName)
	}
	s := Shape{Name: name, Family: family, Size: size}
	s.Category, s.Generation = splitFamily(family)
	s.Metal = strings.HasPrefix(size, "metal")
	s.Burstable = s.Category == "t"
	s.Flex = strings.HasSuffix(family, "-flex")
	return s, nil
}

// splitFamily finds the category and the generation in the name of a family:
// "m", 7 in m7g; "u", 7 in u7i-12tb; "u", 1 in u-6tb1; "p", 6 in p6-b200.
func splitFamily(family string) (category string, generation int) {
	digits := strings.IndexAny(family, "0123456789")
	if digits < 0 {
		return family, 0
	}
	category, rest := family[:digits], family[digits:]
	if head, ok := strings.CutSuffix(category, "-"); ok {
		category = head
		_, rest, _ = strings.Cut(rest, "tb")
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	generation, _ = strconv.Atoi(rest[:end])
	return category, generation
}

// PodsByENI is how many pods get an address: each interface keeps one for
// itself, and two pods use the host's network.
func PodsByENI(enis, addresses int) int { return max(enis*(addresses-1), 0) + 2 }
