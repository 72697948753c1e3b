// Package plugin is the command protoc-gen-rpcx around the generator: its
// arguments and parameters, and the checks whose errors say where in which
// proto a mistake is.
package plugin

import (
	"fmt"
	"io"
	"runtime/debug"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/gen"
)

const name = "protoc-gen-rpcx"

// The editions that protogen knows, the library below us.
const (
	minEdition = descriptorpb.Edition_EDITION_PROTO2
	maxEdition = descriptorpb.Edition_EDITION_2024
)

// Main runs the command and returns its exit status. Without arguments it is a
// plugin: it reads a CodeGeneratorRequest from stdin and writes the response to
// stdout; mistakes in protos and parameters are part of the response.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := run(args, stdin, stdout)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	if _, ok := err.(usageError); ok {
		return 2
	}
	return 1
}

// usageError is a mistake in the arguments.
type usageError string

func (e usageError) Error() string { return string(e) }

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 {
		return serve(stdin, stdout)
	}
	switch args[0] {
	case "--version", "-version":
		info, _ := debug.ReadBuildInfo()
		_, err := fmt.Fprintln(stdout, name, version(info))
		return err
	case "--help", "-help", "-h", "help":
		return writeHelp(stdout)
	case "export":
		return export(args[1:], stdout)
	}
	return usageError(fmt.Sprintf("unknown argument %q: buf and protoc run it without; see %s --help", args[0], name))
}

// version returns the version of the module that the command was built from.
func version(info *debug.BuildInfo) string {
	if info == nil || info.Main.Version == "" {
		return "(unknown version)"
	}
	return info.Main.Version
}

// serve answers one request.
func serve(stdin io.Reader, stdout io.Writer) error {
	in, err := io.ReadAll(stdin)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	req := new(pluginpb.CodeGeneratorRequest)
	if err := proto.Unmarshal(in, req); err != nil {
		return fmt.Errorf("stdin is not a CodeGeneratorRequest: %w", err)
	}
	out, err := proto.Marshal(Respond(req))
	if err != nil {
		return fmt.Errorf("marshal response: %w", err)
	}
	if _, err := stdout.Write(out); err != nil {
		return fmt.Errorf("write response: %w", err)
	}
	return nil
}

// Respond returns the response to req: the generated files, or the first
// mistake that was found.
func Respond(req *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	resp, err := generate(req)
	if err != nil {
		resp = &pluginpb.CodeGeneratorResponse{Error: proto.String(err.Error())}
	}
	// The features belong to an error too: without them, protoc reports
	// that they are missing instead of the error.
	resp.SupportedFeatures = proto.Uint64(uint64(
		pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL | pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS))
	resp.MinimumEdition = proto.Int32(int32(minEdition))
	resp.MaximumEdition = proto.Int32(int32(maxEdition))
	return resp
}

func generate(req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	params, err := parseParameters(req.GetParameter())
	if err != nil {
		return nil, err
	}
	if err := check(req, params); err != nil {
		return nil, err
	}
	// Our own parameters are in params already.
	ignore := func(string, string) error { return nil }
	opts := protogen.Options{ParamFunc: ignore, ImportRewriteFunc: gen.RewriteImport}
	plugin, err := opts.New(req)
	if err != nil {
		return nil, err
	}
	return gen.Generate(plugin, params.options)
}
