package main

import (
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// TestTree checks that the protos are valid and have what matters to a codec.
func TestTree(t *testing.T) {
	req := treeRequest(12, 20)
	files, err := protodesc.NewFiles(&descriptorpb.FileDescriptorSet{File: req.ProtoFile})
	if err != nil {
		t.Fatal(err)
	}
	if files.NumFiles() != 12 {
		t.Errorf("%d files, want 12", files.NumFiles())
	}
	messages, seen := 0, map[string]bool{}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		messages += f.Messages().Len()
		seen["import"] = seen["import"] || f.Imports().Len() > 0
		for i := range f.Messages().Len() {
			fields := f.Messages().Get(i).Fields()
			for j := range fields.Len() {
				field := fields.Get(j)
				seen["map"] = seen["map"] || field.IsMap()
				seen["list"] = seen["list"] || field.IsList()
				seen["optional"] = seen["optional"] || field.HasOptionalKeyword()
				oneof := field.ContainingOneof()
				seen["oneof"] = seen["oneof"] || oneof != nil && !oneof.IsSynthetic()
				seen[field.Kind().String()] = true
			}
		}
		return true
	})
	if messages != 12*20 {
		t.Errorf("%d messages, want %d", messages, 12*20)
	}
	for _, want := range []string{"import", "map", "list", "optional", "oneof", "string", "bytes", "message", "enum", "double", "sint64"} {
		if !seen[want] {
			t.Errorf("no field is of kind %s", want)
		}
	}
}

func TestRatios(t *testing.T) {
	costs := []cost{
		base: {text: 5, compile: spent{cpu: 10 * time.Second}, binary: 1000},
		vt:   {text: 100, generate: spent{cpu: 4 * time.Second}, compile: spent{cpu: 30 * time.Second}, binary: 3000},
		rpcx: {text: 25, generate: spent{cpu: time.Second}, compile: spent{cpu: 20 * time.Second}, binary: 2500},
	}
	if got, want := ratios(costs), "text=0.25 generate=0.25 compile=0.50 binary=0.75"; got != want {
		t.Errorf("ratios %q, want %q", got, want)
	}
}

func TestMedian(t *testing.T) {
	got := median([]spent{{wall: 3, cpu: 1, memory: 9}, {wall: 1, cpu: 3, memory: 8}, {wall: 2, cpu: 2, memory: 7}})
	if want := (spent{wall: 2, cpu: 2, memory: 8}); got != want {
		t.Errorf("median %+v, want %+v", got, want)
	}
}
