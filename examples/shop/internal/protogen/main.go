package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	modfile := flag.String("modfile", "tools.mod", "module file that pins the plugins")
	out := flag.String("out", ".", "folder for the generated files")
	flag.Parse()
	if err := generate(context.Background(), *modfile, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func generate(ctx context.Context, modfile, out string, names []string) error {
	if len(names) == 0 {
		return errors.New("name at least one .proto file")
	}
	request, err := compile(ctx, names)
	if err != nil {
		return err
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := run(ctx, modfile, plugin, out, request); err != nil {
			return fmt.Errorf("%s: %w", plugin, err)
		}
	}
	return nil
}

// compile builds what protoc would send to a plugin.
func compile(ctx context.Context, names []string) ([]byte, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{}),
		SourceInfoMode: protocompile.SourceInfoStandard, // Comments go into the Go code.
	}
	files, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      new("paths=source_relative"),
	}
	for _, file := range files {
		imports, err := standardImports(file)
		if err != nil {
			return nil, err
		}
		request.ProtoFile = append(request.ProtoFile, imports...) // A plugin wants them first.
		request.ProtoFile = append(request.ProtoFile, proto.CloneOf[*descriptorpb.FileDescriptorProto](
			protoutil.ProtoFromFileDescriptor(file)))
	}
	return proto.Marshal(request)
}

// standardImports returns what a file imports, of which only protobuf's own types
// (durations, timestamps) are allowed: those import nothing themselves.
func standardImports(file protoreflect.FileDescriptor) ([]*descriptorpb.FileDescriptorProto, error) {
	var imports []*descriptorpb.FileDescriptorProto
	for i := range file.Imports().Len() {
		imported := file.Imports().Get(i)
		if !strings.HasPrefix(imported.Path(), "google/protobuf/") {
			return nil, fmt.Errorf("%s imports %s; protogen compiles files that import nothing but google/protobuf", file.Path(), imported.Path())
		}
		imports = append(imports, protoutil.ProtoFromFileDescriptor(imported.FileDescriptor))
	}
	return imports, nil
}

func run(ctx context.Context, modfile, plugin, out string, request []byte) error {
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile="+modfile, plugin)
	cmd.Stdin = bytes.NewReader(request)
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(answer, &response); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if response.GetError() != "" {
		return errors.New(response.GetError())
	}
	for _, file := range response.GetFile() {
		path := filepath.Join(out, filepath.FromSlash(file.GetName()))
		if err := os.WriteFile(path, []byte(file.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
