package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Object is one Kubernetes object.
type Object struct {
	// At says where it was found, e.g. "shop/cart.yaml, document 2, line 14".
	At string
	// APIVersion and Kind of the object; neither is empty.
	APIVersion, Kind string
	// JSON is the whole object.
	JSON []byte
}

// head is the part of an object by which it is recognised.
type head struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Items      []json.RawMessage `json:"items"`
	Metadata   json.RawMessage   `json:"metadata"`
}

// hook says on which occasion Helm makes the object; "" when it always exists.
func (h *head) hook() (workload.Ref, string) {
	var m struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(h.Metadata, &m); err != nil {
		return workload.Ref{}, "" // whoever reads the object says what is wrong
	}
	return workload.Ref{Kind: h.Kind, Namespace: m.Namespace, Name: m.Name}, m.Annotations["helm.sh/hook"]
}

// split cuts a stream at its document markers and reads every document. JSON
// is YAML, so it needs no way of its own.
func (s *Set) split(name string, data []byte) error {
	number, line := 0, 1
	for len(data) > 0 {
		doc, rest := cut(data)
		if meaningful(doc) {
			number++
			at := place{file: name, document: number, line: line}
			if err := s.document(at, doc); err != nil {
				return err
			}
		}
		line += bytes.Count(data[:len(data)-len(rest)], []byte("\n"))
		data = rest
	}
	return nil
}

// cut returns the document up to the next line that starts with "---". Such a
// line may carry a comment, and what follows a marker on its line is rare enough
// to be dropped with it, as kubectl does.
func cut(data []byte) (doc, rest []byte) {
	for at := 0; at < len(data); {
		end := bytes.IndexByte(data[at:], '\n')
		next := at + end + 1
		if end < 0 {
			next = len(data)
		}
		if marker(data[at:next]) {
			return data[:at], data[next:]
		}
		at = next
	}
	return data, nil
}

func marker(line []byte) bool {
	rest, found := bytes.CutPrefix(line, []byte("---"))
	return found && (len(bytes.TrimSpace(rest)) == 0 || rest[0] == ' ' || rest[0] == '\t')
}

// meaningful says whether anything but comments and blanks is in a document.
func meaningful(doc []byte) bool {
	for line := range bytes.Lines(doc) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' && string(line) != "..." {
			return true
		}
	}
	return false
}

type place struct {
	file           string
	document, line int
}

func (p place) String() string {
	return fmt.Sprintf("%s, document %d, line %d", p.file, p.document, p.line)
}

// document reads one document; a List becomes its items.
func (s *Set) document(at place, doc []byte) error {
	raw, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return unreadable(at, err)
	}
	return s.object(at, raw)
}

func (s *Set) object(at place, raw []byte) error {
	var h head
	if err := json.Unmarshal(raw, &h); err != nil || h.Kind == "" || h.APIVersion == "" {
		s.skip(workload.Ref{Kind: "Document", Name: at.String()}, "it has no apiVersion and kind, so it is not a Kubernetes object")
		return nil //nolint:nilerr // not an object is not an error: folders hold other things as well
	}
	if strings.HasSuffix(h.Kind, "List") && h.Items != nil {
		for _, item := range h.Items {
			if err := s.object(at, s.itemKind(h, item)); err != nil {
				return err
			}
		}
		return nil
	}
	if ref, hook := h.hook(); hook != "" {
		s.skip(ref, "it is a Helm hook ("+hook+") and runs only for a moment")
		return nil
	}
	s.Objects = append(s.Objects, Object{At: at.String(), APIVersion: h.APIVersion, Kind: h.Kind, JSON: raw})
	return nil
}

// itemKind gives items of a typed list, such as a DeploymentList, the kind that
// the API server leaves out of them.
func (*Set) itemKind(list head, item json.RawMessage) json.RawMessage {
	var h head
	if list.Kind == "List" || json.Unmarshal(item, &h) != nil || h.Kind != "" {
		return item
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(item, &fields) != nil || fields == nil {
		return item
	}
	fields["apiVersion"] = json.RawMessage(strconv.Quote(list.APIVersion))
	fields["kind"] = json.RawMessage(strconv.Quote(strings.TrimSuffix(list.Kind, "List")))
	if out, err := json.Marshal(fields); err == nil {
		return out
	}
	return item
}

// unreadable names the line in the file: the parser counts from the document's
// first one.
func unreadable(at place, err error) error {
	text := err.Error()
	if m := regexp.MustCompile(`line (\d+)`).FindStringSubmatchIndex(text); m != nil {
		if n, convErr := strconv.Atoi(text[m[2]:m[3]]); convErr == nil {
			at.line += n - 1
			text = text[:m[0]] + "line " + strconv.Itoa(at.line) + text[m[1]:]
		}
	}
	return &control.Problem{
		What: "cannot read " + at.String(),
		Why:  fmt.Errorf("%s", text),
		Next: "correct the file, or leave it out; templates of a Helm chart are read through the chart's own folder",
	}
}
