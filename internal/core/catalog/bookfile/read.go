package bookfile

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
)

// Read makes a book of the content of a file. What the file leaves out about a
// shape is taken from base where base knows it; a row that names no region is
// of the one given. An error is a [*Fault] unless base is at odds with itself.
func Read(content []byte, base *catalog.Book, region string) (*catalog.Book, error) {
	b := newBuilder(base, region)
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // as spreadsheets write it
	read := b.readCSV
	if start := bytes.TrimSpace(content); len(start) > 0 && start[0] == '{' {
		read = b.readJSON
	}
	if err := read(content); err != nil {
		return nil, err
	}
	return b.book()
}

// regionMark begins a line of a CSV file that describes a region.
const regionMark = "#region"

const csvNext = "write CSV with a line of column names first; `tatami catalog --save example.csv` shows them"

func (b *builder) readCSV(content []byte) error {
	r := csv.NewReader(bytes.NewReader(content))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	var header []string
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			return &Fault{Line: parse.Line, Column: parse.Column, What: parse.Err.Error(), Next: csvNext}
		}
		line, _ := r.FieldPos(0)
		switch {
		case err != nil:
			return &Fault{What: err.Error(), Next: csvNext}
		case record[0] == regionMark:
			err = b.readRegion(record, r.FieldPos)
		case strings.HasPrefix(record[0], "#"):
		case header == nil:
			header, err = b.readHeader(record, r.FieldPos)
		case len(record) != len(header):
			what := fmt.Sprintf("%d cells, but there are %d columns", len(record), len(header))
			err = &Fault{Line: line, Column: 1, What: what, Next: "give each row a cell for each column; empty ones are fine"}
		default:
			err = b.add(csvRow(header, record, r.FieldPos))
		}
		if err != nil {
			return err
		}
	}
}

func csvRow(header, record []string, at func(int) (int, int)) row {
	r := row{cells: make(map[string]string, len(header))}
	for i, name := range header {
		r.cells[name] = strings.TrimSpace(record[i])
	}
	r.place = func(column string) (int, int) { return at(max(slices.Index(header, column), 0)) }
	return r
}

// columns are all that a file may have, in the order in which it is written.
func (b *builder) columns() []string {
	names := priceColumns()
	for _, f := range b.fields {
		names = append(names, f.name)
	}
	return names
}

func (b *builder) readHeader(record []string, at func(int) (int, int)) ([]string, error) {
	header := make([]string, len(record))
	for i, name := range record {
		name = strings.TrimSpace(name)
		f := &Fault{Next: csvNext}
		f.Line, f.Column = at(i)
		switch {
		case slices.Contains(header[:i], name):
			f.What = "the column " + strconv.Quote(name) + " is there twice"
			return nil, f
		case !slices.Contains(b.columns(), name):
			f.What = "there is no column " + strconv.Quote(name)
			f.Next = "use these names: " + strings.Join(b.columns(), ", ")
			return nil, f
		}
		header[i] = name
	}
	for _, name := range []string{colType, colOnDemand} {
		if !slices.Contains(header, name) {
			f := &Fault{What: "the column " + name + " is missing", Next: csvNext}
			f.Line, f.Column = at(0)
			return nil, f
		}
	}
	return header, nil
}

// readRegion reads what writeRegion wrote.
func (b *builder) readRegion(record []string, at func(int) (int, int)) error {
	f := &Fault{Next: "leave out the lines that begin with " + regionMark + ", or write them as `tatami catalog --save FILE` does"}
	f.Line, f.Column = at(0)
	if len(record) != 10 {
		f.What = fmt.Sprintf("%d cells where a region has 10", len(record))
		return f
	}
	region := catalog.Region{Name: record[1], Title: record[2]}
	for w := range strings.FieldsSeq(record[3]) {
		name, id, _ := strings.Cut(w, "/")
		region.Zones = append(region.Zones, catalog.Zone{Name: name, ID: id})
	}
	var err, err2 error
	region.OnDemand, err = readSource(record[4:7])
	region.Spot, err2 = readSource(record[7:10])
	if err = errors.Join(err, err2); err != nil {
		f.What = err.Error()
		return f
	}
	return b.describe(region, f)
}

// describe takes over what the file says about a region; f is the error if it
// cannot.
func (b *builder) describe(r catalog.Region, f *Fault) error {
	switch {
	case !plain(r.Name):
		f.What = strconv.Quote(r.Name) + " is not the name of a region"
		return f
	case b.markets[r.Name] != nil:
		f.What = "the region " + strconv.Quote(r.Name) + " is described twice, or after its first row"
		return f
	case len(r.Zones) == 0:
		f.What = "the region " + strconv.Quote(r.Name) + " has no zones"
		return f
	}
	for _, z := range r.Zones {
		if !plain(z.Name) || z.ID != "" && !plain(z.ID) {
			f.What = fmt.Sprintf("%q is not the name of a zone, or %q not its id", z.Name, z.ID)
			return f
		}
	}
	for _, text := range []*string{&r.Title, &r.OnDemand.Name, &r.Spot.Name} {
		*text = strings.Join(strings.Fields(*text), " ")
	}
	b.markets[r.Name] = &catalog.Market{Region: r, Prices: map[string]catalog.Price{}}
	return nil
}

// plain says whether s can be the name of a region or zone.
func plain(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func readSource(cells []string) (s catalog.Source, err error) {
	s.Name = cells[0]
	if cells[1] != "" {
		if s.AsOf, err = time.Parse(time.RFC3339, cells[1]); err != nil {
			return s, fmt.Errorf("%q is not a date such as 2026-07-31T00:00:00Z", cells[1])
		}
	}
	s.Approximate = cells[2] == "true"
	return s, nil
}

// readJSON reads {"regions": [...], "rows": [{column: value}]}.
func (b *builder) readJSON(content []byte) error {
	if err := json.Unmarshal(content, new(json.RawMessage)); err != nil {
		at := int64(0)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = syntax.Offset - 1
		}
		return jsonFault(content, at, err)
	}
	dec := json.NewDecoder(bytes.NewReader(content))
	_, err := dec.Token() // the object that it is known to be
	for err == nil && dec.More() {
		var key json.Token
		if key, err = dec.Token(); err != nil {
			break
		}
		at := start(content, dec.InputOffset())
		switch key {
		case "regions":
			err = elements(dec, func() error { return b.readJSONRegion(dec, content) })
		case "rows":
			err = elements(dec, func() error { return b.readJSONRow(dec, content) })
		default:
			err = fmt.Errorf("%q is neither regions nor rows", key)
		}
		if _, ok := errors.AsType[*Fault](err); err != nil && !ok {
			return jsonFault(content, at, err)
		}
	}
	return err
}

func jsonFault(content []byte, at int64, err error) *Fault {
	f := &Fault{What: err.Error(), Next: "correct it; `tatami catalog --save example.json` shows the form"}
	f.Line, f.Column = position(content, at)
	return f
}

// elements calls f before each element of an array.
func elements(dec *json.Decoder, f func() error) error {
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return errors.New("this must be a list")
	}
	for dec.More() {
		if err := f(); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func (b *builder) readJSONRegion(dec *json.Decoder, content []byte) error {
	at := start(content, dec.InputOffset())
	var r catalog.Region
	if err := dec.Decode(&r); err != nil {
		return jsonFault(content, at, err)
	}
	return b.describe(r, jsonFault(content, at, errors.New("")))
}

func (b *builder) readJSONRow(dec *json.Decoder, content []byte) error {
	at := start(content, dec.InputOffset())
	var raw map[string]json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return jsonFault(content, at, errors.New("a row must be an object"))
	}
	r := row{map[string]string{}, func(string) (int, int) { return position(content, at) }}
	for name, value := range raw {
		if !slices.Contains(b.columns(), name) {
			f := jsonFault(content, at, fmt.Errorf("there is no column %q", name))
			f.Next = "use these names: " + strings.Join(b.columns(), ", ")
			return f
		}
		cell := string(value)
		if cell == "null" {
			continue
		}
		if cell[0] == '"' {
			if err := json.Unmarshal(value, &cell); err != nil {
				return jsonFault(content, at, err)
			}
		}
		r.cells[name] = cell
	}
	return b.add(r)
}

// start skips what lies before the next value.
func start(content []byte, at int64) int64 {
	rest := content[at:]
	return at + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,:")))
}

// position turns an offset into a line and a column.
func position(content []byte, at int64) (line, column int) {
	before := content[:min(at, int64(len(content)))]
	return 1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n')
}
