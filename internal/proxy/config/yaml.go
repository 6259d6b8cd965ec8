package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// maxNodes bounds what is read of a file. It counts aliases as often as they are
// used, so that a small file cannot stand for a huge one.
const maxNodes = 2_000_000

// yamlReader fills messages from YAML, of which JSON is a part. It follows the
// messages' descriptors; a text in place of an object is its first field.
type yamlReader struct {
	file  string
	path  []string
	nodes int
	found connect.InvalidError
}

// readYAML reads the documents of a file into m, and returns the documents, in
// which places can be looked up.
func (r *yamlReader) readYAML(data []byte, m *pb.Resources) []*yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(plainEscapes(data)))
	var documents []*yaml.Node
	for {
		node := &yaml.Node{}
		err := decoder.Decode(node)
		if errors.Is(err, io.EOF) {
			return documents
		}
		if err != nil {
			r.found.Add(connect.Problem{Field: r.file, Text: strings.TrimPrefix(err.Error(), "yaml: ")})
			return documents
		}
		if node.Kind != yaml.DocumentNode || len(node.Content) != 1 || null(node.Content[0]) {
			continue
		}
		// One message per document: a field that is not a list may be in one of
		// them only, which merging would hide.
		document := &pb.Resources{}
		r.message(node.Content[0], document.ProtoReflect())
		if m.GetNode() != nil && document.GetNode() != nil {
			r.fail(node.Content[0], "node is there twice; allowed: once")
		}
		proto.Merge(m, document)
		documents = append(documents, node.Content[0])
	}
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func (r *yamlReader) fail(n *yaml.Node, format string, args ...any) {
	place := fmt.Sprintf("%s:%d", r.file, n.Line)
	if len(r.path) > 0 {
		place += ": " + strings.Join(r.path, "")
	}
	r.found.Add(connect.Problem{Field: place, Text: fmt.Sprintf(format, args...)})
}

// enter runs f with a part of the path; it is written as in problems of Validate.
func (r *yamlReader) enter(part string, f func()) {
	if len(r.path) > 0 && part[0] != '[' {
		part = "." + part
	}
	r.path = append(r.path, part)
	f()
	r.path = r.path[:len(r.path)-1]
}

// visit follows aliases and ends what is too much.
func (r *yamlReader) visit(n *yaml.Node) (*yaml.Node, bool) {
	r.nodes++
	if r.nodes == maxNodes {
		r.fail(n, "the file stands for more than %d values; allowed: less", maxNodes)
	}
	if r.nodes >= maxNodes || len(r.found.Problems) >= connect.MaxProblems {
		return n, false
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias, true
	}
	return n, true
}

func (r *yamlReader) message(n *yaml.Node, m protoreflect.Message) {
	n, ok := r.visit(n)
	if !ok {
		return
	}
	fields := m.Descriptor().Fields()
	switch {
	case n.Kind == yaml.ScalarNode && len(r.path) > 0:
		first := fields.ByNumber(1)
		if first.IsList() || (first.Kind() != protoreflect.StringKind && first.Kind() != protoreflect.MessageKind) {
			r.fail(n, "%q is no object; allowed: an object with %s", n.Value, names(fields))
			return
		}
		r.field(n, m, first)
	case n.Kind == yaml.MappingNode:
		r.mapping(n, m, fields)
	default:
		r.fail(n, "it is no object; allowed: an object with %s", names(fields))
	}
}

func (r *yamlReader) mapping(n *yaml.Node, m protoreflect.Message, fields protoreflect.FieldDescriptors) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		fd := fields.ByJSONName(key.Value)
		if key.Kind != yaml.ScalarNode || fd == nil {
			r.fail(key, "the field %q is not known; allowed: %s", key.Value, names(fields))
			continue
		}
		if seen[key.Value] {
			r.fail(key, "the field %q is there twice; allowed: once", key.Value)
			continue
		}
		seen[key.Value] = true
		if null(value) {
			continue
		}
		r.enter(key.Value, func() { r.field(value, m, fd) })
	}
}

func names(fields protoreflect.FieldDescriptors) string {
	var all []string
	for i := range fields.Len() {
		all = append(all, fields.Get(i).JSONName())
	}
	return strings.Join(all, ", ")
}

func (r *yamlReader) field(n *yaml.Node, m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	if !fd.IsList() {
		if v, ok := r.value(n, fd, func() protoreflect.Value { return m.NewField(fd) }); ok {
			m.Set(fd, v)
		}
		return
	}
	n, ok := r.visit(n)
	if !ok {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "it is no list; allowed: [...], or lines that begin with -")
		return
	}
	items := m.Mutable(fd).List()
	for i, item := range n.Content {
		r.enter("["+strconv.Itoa(i)+"]", func() {
			if v, ok := r.value(item, fd, items.NewElement); ok {
				items.Append(v)
			}
		})
	}
}

// value reads one value; made gives an empty message.
func (r *yamlReader) value(n *yaml.Node, fd protoreflect.FieldDescriptor, made func() protoreflect.Value) (protoreflect.Value, bool) {
	if fd.Kind() == protoreflect.MessageKind && !wellKnown(fd.Message()) {
		v := made()
		r.message(n, v.Message())
		return v, true
	}
	n, ok := r.visit(n)
	if !ok {
		return protoreflect.Value{}, false
	}
	if n.Kind != yaml.ScalarNode || null(n) {
		r.fail(n, "it is no single value; allowed: text or a number")
		return protoreflect.Value{}, false
	}
	v, err := scalar(n, fd)
	if err != nil {
		r.fail(n, "%v", err)
		return protoreflect.Value{}, false
	}
	return v, true
}

func wellKnown(d protoreflect.MessageDescriptor) bool {
	return d.ParentFile().Package() == "google.protobuf"
}

// scalar reads text as what the field wants.
func scalar(n *yaml.Node, fd protoreflect.FieldDescriptor) (protoreflect.Value, error) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		if strings.ToValidUTF8(n.Value, "") != n.Value || n.Tag == "!!binary" {
			return protoreflect.Value{}, fmt.Errorf("%q is no text; allowed: UTF-8", n.Value)
		}
		return protoreflect.ValueOfString(n.Value), nil
	case protoreflect.BoolKind:
		if n.Tag != "!!bool" {
			return protoreflect.Value{}, fmt.Errorf("%q is neither; allowed: true and false", n.Value)
		}
		return protoreflect.ValueOfBool(strings.EqualFold(n.Value, "true")), nil
	case protoreflect.Uint32Kind:
		u, err := unsigned(n, 32)
		return protoreflect.ValueOfUint32(uint32(u)), err
	case protoreflect.Uint64Kind:
		u, err := unsigned(n, 64)
		return protoreflect.ValueOfUint64(u), err
	case protoreflect.EnumKind:
		return enumValue(n.Value, fd.Enum().Values())
	case protoreflect.BytesKind:
		return bytesValue(n.Value)
	case protoreflect.MessageKind:
		return timeValue(n.Value, fd.Message().Name())
	default:
		return protoreflect.Value{}, fmt.Errorf("fields of kind %v are not read", fd.Kind())
	}
}

func unsigned(n *yaml.Node, bits int) (uint64, error) {
	u, err := strconv.ParseUint(n.Value, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%q is no number; allowed: 0 to %d", n.Value, uint64(1)<<(bits-1)<<1-1)
	}
	return u, nil
}

func enumValue(text string, values protoreflect.EnumValueDescriptors) (protoreflect.Value, error) {
	var known []string
	for i := range values.Len() {
		v := values.Get(i)
		if strings.EqualFold(string(v.Name()), text) {
			return protoreflect.ValueOfEnum(v.Number()), nil
		}
		known = append(known, string(v.Name()))
	}
	return protoreflect.Value{}, fmt.Errorf("%q is not known; allowed: %s", text, strings.Join(known, ", "))
}

// bytesValue takes PEM as it stands, and base64 as JSON of protobuf has it.
func bytesValue(text string) (protoreflect.Value, error) {
	if strings.Contains(text, "-----BEGIN ") {
		return protoreflect.ValueOfBytes([]byte(text)), nil
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return protoreflect.Value{}, errors.New("it is neither PEM nor base64; allowed: text that begins with -----BEGIN")
	}
	return protoreflect.ValueOfBytes(data), nil
}

func timeValue(text string, name protoreflect.Name) (protoreflect.Value, error) {
	if name == "Duration" {
		d, err := time.ParseDuration(text)
		if err != nil || (text[0] >= '0' && text[0] <= '9' && !strings.ContainsAny(text, "hmsuµn")) {
			return protoreflect.Value{}, fmt.Errorf("%q is no duration; allowed: numbers with units, such as 250ms, 5s, 1m30s", text)
		}
		return protoreflect.ValueOfMessage(durationpb.New(d).ProtoReflect()), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1 {
		return protoreflect.Value{}, fmt.Errorf("%q is no time; allowed: RFC 3339, such as 2026-11-01T12:00:00Z", text)
	}
	return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect()), nil
}

// place finds the deepest node of a path such as rules[0].matches[1].path.value.
func place(n *yaml.Node, path string) *yaml.Node {
	for part := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '.' || c == '[' || c == ']' }) {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		next := child(n, part)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func child(n *yaml.Node, part string) *yaml.Node {
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(part); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	i := slices.IndexFunc(n.Content, func(c *yaml.Node) bool { return c.Value == part })
	if i < 0 || i%2 == 1 || i+1 >= len(n.Content) {
		return nil
	}
	return n.Content[i+1]
}
