// Known writes the package runtime/wire/known: the glue of the well-known types,
// whose messages google.golang.org/protobuf generates. Run it in the root of
// the repository.
package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/gen"
	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/model"
)

const dir = "runtime/wire/known"

var files = []protoreflect.FileDescriptor{
	anypb.File_google_protobuf_any_proto,
	durationpb.File_google_protobuf_duration_proto,
	emptypb.File_google_protobuf_empty_proto,
	fieldmaskpb.File_google_protobuf_field_mask_proto,
	structpb.File_google_protobuf_struct_proto,
	timestamppb.File_google_protobuf_timestamp_proto,
	wrapperspb.File_google_protobuf_wrappers_proto,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "known:", err)
		os.Exit(1)
	}
}

func run() error {
	req := &pluginpb.CodeGeneratorRequest{Parameter: proto.String("paths=source_relative")}
	for _, file := range files {
		req.ProtoFile = append(req.ProtoFile, protodesc.ToFileDescriptorProto(file))
		req.FileToGenerate = append(req.FileToGenerate, file.Path())
	}
	plugin, err := protogen.Options{ImportRewriteFunc: gen.RewriteImport}.New(req)
	if err != nil {
		return err
	}
	resp, err := gen.Generate(plugin, model.Options{PackageSuffix: "rpcx", Functions: true})
	if err != nil {
		return err
	}
	for _, file := range resp.File {
		name := filepath.Join(dir, path.Base(file.GetName()))
		if err := os.WriteFile(name, []byte(file.GetContent()), 0o666); err != nil {
			return err
		}
	}
	return nil
}
