package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// column is one of a table.
type column struct {
	title string
	// right aligns figures, so that their digits stand below each other.
	right bool
}

// printTable prints rows below titles, with two blanks between columns. Cells
// may be coloured. An error is that of writing.
func printTable(c Console, columns []column, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(columns))
	for i, col := range columns {
		widths[i] = utf8.RuneCountInString(col.title)
		for _, r := range rows {
			widths[i] = max(widths[i], shown(r[i]))
		}
	}
	line := func(cells []string) string {
		var b strings.Builder
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-shown(cell))
			if columns[i].right {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
			b.WriteString("  ")
		}
		return strings.TrimRight(b.String(), " ")
	}
	titles := make([]string, len(columns))
	for i, col := range columns {
		titles[i] = c.paint(styleHead, col.title)
	}
	var text strings.Builder
	text.WriteString(line(titles) + "\n")
	for _, r := range rows {
		text.WriteString(line(r) + "\n")
	}
	_, err := io.WriteString(c, text.String())
	return err
}

// shown is how many columns of the terminal a cell takes, without its colours.
func shown(cell string) int {
	n := 0
	for {
		before, after, coloured := strings.Cut(cell, "\x1b[")
		n += utf8.RuneCountInString(before)
		if !coloured {
			return n
		}
		_, cell, _ = strings.Cut(after, "m")
	}
}
