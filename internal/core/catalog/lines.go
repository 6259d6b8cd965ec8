package catalog

import (
	"fmt"
	"strconv"
	"strings"
)

// eachLine calls f with the words of each line that has any, and whether it is
// indented. A # begins a comment. An error gets the number of its line.
func eachLine(text string, f func(indented bool, words []string) error) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := f(line[0] == ' ', words); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// number reads a whole number that is not negative.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// pairs splits words such as large=3.
func pairs(words []string, f func(key, value string) error) error {
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return fmt.Errorf("%q is not KEY=VALUE", w)
		}
		if err := f(key, value); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}
