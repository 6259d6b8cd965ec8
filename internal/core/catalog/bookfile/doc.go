// Package bookfile reads and writes a catalog as a file: CSV for spreadsheets,
// or JSON. Both hold the same rows, one for each type in each region.
//
// In: the content of a file, and a book that supplies what the file leaves out.
// Out: a [catalog.Book], or a [Fault] with line and column. Prices are dollars
// per hour, memory is MiB, disks are GB.
// It never opens a file. Read field.go, then read.go.
package bookfile
