// Package planview draws the one report of `tatami plan` for people and
// programs: as a table, Markdown, CSV, or a page of HTML that stands alone.
//
// In: a compare.Report or compare.Diff, a width in columns, a [Lang]. Out: text;
// every amount is the report's, to the cent, and nothing is computed anew but
// sums for display. The page has no script, loads nothing, and escapes all text.
// It never decides, reads files, or asks the clock. Read numbers.go, then
// table.go and page.go; texts/ holds the sentences in each language.
package planview
