package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	_ "github.com/rpcx-go/rpcx/proto/rpcx/options/v1" // for protos in the scripts
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"protoc-gen-rpcx": main})
}

// TestScripts runs the scripts, which have two commands of their own:
//
//	request [-all] FILE PARAMETERS PROTO...
//		writes to FILE the request to generate the last proto, or all, given
//		them as FileDescriptorProtos in text format
//	response
//		reads the response from the standard output of the last command,
//		writes the files in it, and their names to the file "files"
//	! response
//		wants an error in the response, and writes it to the file "error"
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Condition: func(name string) (bool, error) {
			if name != "protolegacy" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			// Only with the build tag are there descriptors of such messages.
			set := &descriptorpb.FileDescriptorProto{
				Name: proto.String("set.proto"),
				MessageType: []*descriptorpb.DescriptorProto{{
					Name:           proto.String("Set"),
					Options:        &descriptorpb.MessageOptions{MessageSetWireFormat: proto.Bool(true)},
					ExtensionRange: []*descriptorpb.DescriptorProto_ExtensionRange{{Start: proto.Int32(4), End: proto.Int32(1<<31 - 1)}},
				}},
			}
			_, err := protodesc.NewFile(set, nil)
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"request":  request,
			"response": response,
		},
	})
}

func request(ts *testscript.TestScript, neg bool, args []string) {
	all := len(args) > 0 && args[0] == "-all"
	if all {
		args = args[1:]
	}
	if neg || len(args) < 3 {
		ts.Fatalf("usage: request [-all] FILE PARAMETERS PROTO...")
	}
	req := &pluginpb.CodeGeneratorRequest{Parameter: proto.String(args[1])}
	for _, name := range args[2:] {
		file := new(descriptorpb.FileDescriptorProto)
		ts.Check(prototext.Unmarshal([]byte(ts.ReadFile(name)), file))
		req.ProtoFile = append(req.ProtoFile, file)
		if !all {
			req.FileToGenerate = nil
		}
		req.FileToGenerate = append(req.FileToGenerate, file.GetName())
	}
	b, err := proto.Marshal(req)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o666))
}

func response(ts *testscript.TestScript, neg bool, args []string) {
	resp := new(pluginpb.CodeGeneratorResponse)
	ts.Check(proto.Unmarshal([]byte(ts.ReadFile("stdout")), resp))
	if neg {
		if resp.Error == nil {
			ts.Fatalf("the response has no error")
		}
		// A script compares the message with `cmp`, so it is a line of its own.
		ts.Check(os.WriteFile(ts.MkAbs("error"), []byte(resp.GetError()+"\n"), 0o666))
		return
	}
	if resp.Error != nil {
		ts.Fatalf("error in the response: %s", resp.GetError())
	}
	var names strings.Builder
	for _, file := range resp.File {
		fmt.Fprintln(&names, file.GetName())
		path := ts.MkAbs(file.GetName())
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
		ts.Check(os.WriteFile(path, []byte(file.GetContent()), 0o666))
	}
	ts.Check(os.WriteFile(ts.MkAbs("files"), []byte(names.String()), 0o666))
}
