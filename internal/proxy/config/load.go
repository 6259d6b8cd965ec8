package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// The most that is read. 5,000 routes take about 1 MiB.
const (
	maxFileBytes = 16 << 20
	maxFiles     = 1_000
	maxAllBytes  = 64 << 20
)

// Load reads a file, or the .yaml, .yml and .json files of a folder, and returns
// the configuration, checked. Files of certificates are read as well. Errors name
// file and line; a wrong configuration is a *connect.InvalidError.
func Load(path string) (*connect.Config, error) {
	state := NewState(connect.Node{}, nil)
	doc, err := loadDocument(path)
	if err != nil {
		return nil, err
	}
	if err := doc.offer(state); err != nil {
		return nil, err
	}
	return state.Config(), nil
}

// document is what the files say, before it is checked as a whole.
type document struct {
	version   string
	resources *pb.Resources
	places    map[string]origin // by what people call it: "route shop/web"
}

// origin is where a resource was read.
type origin struct {
	file  string
	index int
	node  *yaml.Node
}

// listFiles lists what is read of path, sorted. Hidden names are left out: ConfigMaps
// keep the real files below ..data and link to them.
func listFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !strings.HasPrefix(e.Name(), ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no .yaml, .yml or .json file; put the configuration there", path)
	}
	if len(files) > maxFiles {
		return nil, fmt.Errorf("%s holds %d files; allowed: at most %d", path, len(files), maxFiles)
	}
	return files, nil
}

// rawFile is a file as it was read.
type rawFile struct {
	path string
	data []byte
}

func readFiles(paths []string) (raw []rawFile, version string, err error) {
	total := 0
	sum := sha256.New()
	for _, path := range paths {
		data, err := readFile(path, maxFileBytes)
		if err != nil {
			return nil, "", err
		}
		if total += len(data); total > maxAllBytes {
			return nil, "", fmt.Errorf("the files have more than %d bytes", maxAllBytes)
		}
		fmt.Fprintf(sum, "%q %d\n", filepath.Base(path), len(data))
		sum.Write(data)
		raw = append(raw, rawFile{path, data})
	}
	return raw, hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func loadDocument(path string) (*document, error) {
	paths, err := listFiles(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	raw, version, err := readFiles(paths)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parse(raw, version)
}

// parse reads all files, or none with all reasons.
func parse(raw []rawFile, version string) (*document, error) {
	d := &document{version: version, resources: &pb.Resources{}, places: map[string]origin{}}
	var found connect.InvalidError
	empty := true
	for _, f := range raw {
		r := yamlReader{file: f.path}
		m := &pb.Resources{}
		documents := r.readYAML(f.data, m)
		empty = empty && len(documents) == 0
		for _, p := range r.found.Problems {
			found.Add(p)
		}
		found.Omitted += r.found.Omitted
		if m.GetNode() != nil && d.resources.GetNode() != nil {
			found.Add(connect.Problem{Field: f.path, Text: "node is in another file already; allowed: in one"})
		}
		rebase(m, filepath.Dir(f.path))
		d.note(&found, f.path, documents)
		proto.Merge(d.resources, m)
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	if empty {
		return nil, errors.New("configuration: there is nothing in it; an empty file is never applied (to accept no requests, write listeners: [])")
	}
	return d, nil
}

// rebase makes names of files relative to the folder of the file that has them.
func rebase(m *pb.Resources, dir string) {
	join := func(name *string) {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
	for _, c := range m.GetCertificates() {
		join(&c.ChainFile)
		join(&c.KeyFile)
	}
	for _, b := range m.GetTrustBundles() {
		join(&b.File)
	}
}

// note remembers where resources stand and refuses names that are taken.
func (d *document) note(found *connect.InvalidError, file string, documents []*yaml.Node) {
	for _, doc := range documents {
		for _, k := range kinds() {
			list := k.list
			items := child(doc, list)
			if items == nil || items.Kind != yaml.SequenceNode {
				continue
			}
			for i, item := range items.Content {
				key := k.resource(nameOf(item))
				if o, taken := d.places[key]; taken {
					found.Add(connect.Problem{
						Field: fmt.Sprintf("%s:%d: %s[%d].name", file, item.Line, list, i),
						Text:  fmt.Sprintf("%q is already at %s:%d; allowed: a name that no other of %s has", nameOf(item), o.file, o.node.Line, list),
					})
					continue
				}
				d.places[key] = origin{file, i, item}
			}
		}
	}
}

// nameOf is the name of a resource, or the text that stands for it.
func nameOf(n *yaml.Node) string {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	if name := child(n, "name"); name != nil {
		return name.Value
	}
	return ""
}

// offer gives the document to a state and puts file and line before its reasons.
func (d *document) offer(s *State) error {
	config := d.resources
	err := s.Offer(Change{Version: d.version, All: true, Upserts: config})
	var invalid *connect.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	located := &connect.InvalidError{Omitted: invalid.Omitted}
	for _, p := range invalid.Problems {
		p.Field = d.locate(p)
		located.Problems = append(located.Problems, p)
	}
	return located
}

// locate puts file and line before a field; the index becomes that of the file.
func (d *document) locate(p connect.Problem) string {
	head, rest, _ := strings.Cut(p.Field, ".")
	list, _, indexed := strings.Cut(head, "[")
	if !indexed {
		return p.Field
	}
	o, found := d.places[p.Resource]
	if !found {
		return p.Field
	}
	field := list + "[" + strconv.Itoa(o.index) + "]"
	if rest != "" {
		field += "." + rest
	}
	return fmt.Sprintf("%s:%d: %s", o.file, place(o.node, rest).Line, field)
}
