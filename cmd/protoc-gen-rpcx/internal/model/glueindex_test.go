package model

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// goldenPlugin returns the plugin for the protos of a golden package, with
// only the named files to be generated.
func goldenPlugin(t *testing.T, name string, generate ...string) *protogen.Plugin {
	t.Helper()
	image, err := os.ReadFile(filepath.Join("../../../../testdata/gen", name, "image.binpb"))
	if err != nil {
		t.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(image, set); err != nil {
		t.Fatal(err)
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{ProtoFile: set.File, FileToGenerate: generate})
	if err != nil {
		t.Fatal(err)
	}
	return plugin
}

// names returns the Go names of the messages in the package that is generated,
// for which the index says yes, in alphabetical order.
func names(plugin *protogen.Plugin, is map[*protogen.Message]bool) []string {
	var list []string
	for _, file := range plugin.Files {
		if !file.Generate {
			continue
		}
		walkMessages(file.Messages, func(msg *protogen.Message) {
			if is[msg] {
				list = append(list, msg.GoIdent.GoName)
			}
		})
	}
	slices.Sort(list)
	return list
}

func TestGlueIndex(t *testing.T) {
	plugin := goldenPlugin(t, "fields", "fields.proto")
	m, err := New(plugin, Options{PackageSuffix: "rpcx"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		is   map[*protogen.Message]bool
		want []string
	}{
		{"has", m.glue.has, []string{"Extended", "HoldsRequired", "Implicit", "Known", "Lists", "Maps", "Numbers", "Oneof", "Present", "Required", "Text"}},
		{"text", m.glue.text, []string{"HoldsRequired", "Implicit", "Known", "Lists", "Maps", "Oneof", "Present", "Required", "Text"}},
		{"mayLack", m.glue.mayLack, []string{"Extended", "HoldsRequired", "Required"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, names(plugin, test.is)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGlueScope(t *testing.T) {
	all := []string{"parts/parts.proto", "unused/unused.proto", "reach.proto"}
	for _, test := range []struct {
		name     string
		scope    GlueScope
		generate []string
		want     []string
	}{
		{"all", GlueAll, all, []string{"Answer", "Answer_Nested", "Part", "Request", "Unused", "Unused", "Unused", "Value"}},
		{"none", GlueNone, all, nil},
		{"services", GlueServices, all, []string{"Answer_Nested", "Part", "Request", "Value"}},
		{"services of one file", GlueServices, []string{"reach.proto"}, []string{"Answer_Nested", "Request", "Value"}},
		{"no services", GlueServices, []string{"unused/unused.proto"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			plugin := goldenPlugin(t, "reach", test.generate...)
			m, err := New(plugin, Options{PackageSuffix: "rpcx", Glue: test.scope})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, names(plugin, m.glue.has)); diff != "" {
				t.Errorf("messages with glue (-want +got):\n%s", diff)
			}
			for _, file := range plugin.Files {
				if m.HasGlue(file) && !file.Generate {
					t.Errorf("%s has glue and is not generated", file.Desc.Path())
				}
			}
		})
	}
}

func TestHidesGlue(t *testing.T) {
	got := make(map[string]bool)
	walkMessages(goldenPlugin(t, "methods", "methods.proto").Files[0].Messages, func(msg *protogen.Message) {
		got[msg.GoIdent.GoName] = hidesGlue(msg)
	})
	want := map[string]bool{
		"Field": true, "Oneof": true, "Alike": false, "Holder": false,
		"Func": false, "Range": false, "Len": false, "Message": false, "Wire": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages that hide glue (-want +got):\n%s", diff)
	}
}
