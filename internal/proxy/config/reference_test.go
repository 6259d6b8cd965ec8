package config

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

var update = flag.Bool("update", false, "write the reference page anew")

var compareAddresses = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

const (
	referencePage = "../../../docs/reference/proxy.md"
	beginFields   = "<!-- BEGIN FIELDS: written by go test ./internal/proxy/config -update -->\n"
	endFields     = "<!-- END FIELDS -->\n"
)

// fileMessages are the messages of a file in the order in which they are named.
func fileMessages() []protoreflect.MessageDescriptor {
	var all []protoreflect.MessageDescriptor
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] || wellKnown(m) {
			return
		}
		seen[m.FullName()] = true
		all = append(all, m)
		for i := range m.Fields().Len() {
			if sub := m.Fields().Get(i).Message(); sub != nil {
				walk(sub)
			}
		}
	}
	walk((&pb.Resources{}).ProtoReflect().Descriptor())
	return all
}

// TestReference holds that the reference has every field with its comment.
func TestReference(t *testing.T) {
	data, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), beginFields)
	_, after, found2 := strings.Cut(rest, endFields)
	if !found || !found2 {
		t.Fatalf("%s lacks the marks of the fields", referencePage)
	}
	want := before + beginFields + fieldTables(t) + endFields + after
	if *update {
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("the reference is not what proxyconfig.proto says; run: go test ./internal/proxy/config -update\n%s", diff)
	}
}

// fieldTables writes one table per message from the comments of the .proto file.
func fieldTables(t *testing.T) string {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"configpb"}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), "proxyconfig.proto")
	if err != nil {
		t.Fatal(err)
	}
	comment := func(d protoreflect.Descriptor) string {
		c := files[0].SourceLocations().ByDescriptor(d).LeadingComments
		if strings.TrimSpace(c) == "" {
			t.Errorf("%s has no comment", d.FullName())
		}
		return strings.Join(strings.Fields(c), " ")
	}
	var b strings.Builder
	for _, named := range fileMessages() {
		m := files[0].Messages().ByName(named.Name())
		title := string(m.Name())
		if title == "Resources" {
			title = "The file"
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n\n| Field | Type | |\n|---|---|---|\n", title, comment(m))
		for i := range m.Fields().Len() {
			fd := m.Fields().Get(i)
			fmt.Fprintf(&b, "| `%s` | %s | %s%s |\n", fd.JSONName(), typeName(fd), escapeCell(comment(fd)), enumText(fd, comment))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestGeneratedCodeIsCurrent compares what the .proto file says with the Go code.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"configpb"}}),
	}
	files, err := compiler.Compile(t.Context(), "proxyconfig.proto")
	if err != nil {
		t.Fatal(err)
	}
	want, got := protodesc.ToFileDescriptorProto(files[0]), protodesc.ToFileDescriptorProto(pb.File_proxyconfig_proto)
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("the code is not what proxyconfig.proto says; run: go generate ./...\n%s", diff)
	}
}

func escapeCell(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(s)
}

func typeName(fd protoreflect.FieldDescriptor) string {
	name := map[protoreflect.Kind]string{
		protoreflect.StringKind: "text", protoreflect.BytesKind: "PEM", protoreflect.BoolKind: "true or false",
		protoreflect.Uint32Kind: "number", protoreflect.Uint64Kind: "number", protoreflect.EnumKind: "one of",
	}[fd.Kind()]
	if m := fd.Message(); m != nil {
		name = fmt.Sprintf("[%s](#%s)", m.Name(), strings.ToLower(string(m.Name())))
		if wellKnown(m) {
			name = map[protoreflect.Name]string{"Duration": "duration", "Timestamp": "time"}[m.Name()]
		}
	}
	if fd.IsList() {
		return "list of " + name
	}
	return name
}

func enumText(fd protoreflect.FieldDescriptor, comment func(protoreflect.Descriptor) string) string {
	if fd.Enum() == nil {
		return ""
	}
	var b strings.Builder
	for i := range fd.Enum().Values().Len() {
		v := fd.Enum().Values().Get(i)
		fmt.Fprintf(&b, "<br>`%s`: %s", v.Name(), escapeCell(comment(v)))
	}
	return b.String()
}

// TestReferenceExamples holds that what the page shows is accepted.
func TestReferenceExamples(t *testing.T) {
	data, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(data), "```yaml\n")[1:]
	if len(examples) == 0 {
		t.Fatal("there is no example")
	}
	for i, rest := range examples {
		text, _, _ := strings.Cut(rest, "```")
		certificate, key := newCertificate(t)
		dir := write(t, map[string]string{fmt.Sprintf("%d.yaml", i): text, "tls/tls.crt": certificate, "tls/tls.key": key, "ca.crt": certificate})
		if _, err := Load(filepath.Join(dir, fmt.Sprintf("%d.yaml", i))); err != nil {
			t.Errorf("example %d: %v\n%s", i, err, text)
		}
	}
}
