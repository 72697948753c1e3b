package foreign_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/wire"
	"github.com/rpcx-go/rpcx/runtime/wire/foreign"
	"github.com/rpcx-go/rpcx/testdata/zoo/proto2"
	"github.com/rpcx-go/rpcx/testdata/zoo/proto3"
	"github.com/rpcx-go/rpcx/testdata/zoo/proto3opaque"
)

// message is what messages with glue are to users.
type message interface {
	foreign.Message
	AppendRPCX(b []byte) ([]byte, error)
	UnmarshalRPCX(b []byte) error
}

const bad = "a\xffb"

// TestMarshalErrors: who is told that a text is not UTF-8 is told which, by the
// glue's own method and by the codec.
func TestMarshalErrors(t *testing.T) {
	hidden := new(proto3opaque.Implicit)
	hidden.SetString(bad)
	for _, test := range []struct {
		message message
		at      string
	}{
		{&proto3.Implicit{String_: bad}, "zoo.proto3.Implicit.string"},
		{hidden, "zoo.proto3opaque.Implicit.string"},
		{&proto3.All{Explicit: &proto3.Explicit{String_: proto.String(bad)}}, "zoo.proto3.Explicit.string"},
		{&proto3.All{More: []*proto3.All{{}, {Implicit: &proto3.Implicit{String_: bad}}}}, "zoo.proto3.Implicit.string"},
		{&proto3.Expanded{String_: []string{"good", bad}}, "zoo.proto3.Expanded.string"},
		{&proto3.Maps{FromString: map[string]int32{bad: 1}}, "zoo.proto3.Maps.from_string"},
		{&proto3.Maps{ToString: map[string]string{"good": bad}}, "zoo.proto3.Maps.to_string"},
		{&proto3.Maps{ToSmall: map[int32]*proto3.Small{1: {Text: proto.String(bad)}}}, "zoo.proto3.Small.text"},
		{&proto3.Oneof{Other: &proto3.Oneof_Right{Right: bad}}, "zoo.proto3.Oneof.right"},
	} {
		_, err := test.message.AppendRPCX(nil)
		wantAt(t, "AppendRPCX", err, test.at)
		_, err = codec.Append(codec.Proto, nil, test.message, test.message.SizeRPCX())
		wantAt(t, "codec", err, test.at)
	}
	if _, err := (&proto2.Explicit{String_: proto.String(bad)}).AppendRPCX(nil); err != nil {
		t.Errorf("proto2 does not ask for UTF-8: %v", err)
	}
	_, err := new(proto2.Required).AppendRPCX(nil)
	if err == nil || !strings.Contains(err.Error(), "zoo.proto2.Required.") {
		t.Errorf("a required field is missing: %v", err)
	}
	// The bytes that were there are still there.
	if out, _ := (&proto3.Implicit{String_: bad}).AppendRPCX([]byte("before")); string(out) != "before" {
		t.Errorf("%q is returned", out)
	}
}

// TestUnmarshalErrors: who is told that input is malformed is told where.
func TestUnmarshalErrors(t *testing.T) {
	field := func(number protowire.Number, content string) string {
		return string(protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), content))
	}
	group := func(number protowire.Number, content string) string {
		return string(protowire.AppendTag(nil, number, protowire.StartGroupType)) + content + string(protowire.AppendTag(nil, number, protowire.EndGroupType))
	}
	const overlong = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
	for _, test := range []struct {
		name    string
		message message
		input   string
		at      string
	}{
		{"text", new(proto3.Implicit), field(14, bad), "zoo.proto3.Implicit.string"},
		{"behind text of any bytes and unknown fields", new(proto3.Implicit), field(15, bad) + field(1000, bad) + group(1001, field(14, bad)) + field(14, bad), "zoo.proto3.Implicit.string"},
		{"opaque", new(proto3opaque.Implicit), field(14, bad), "zoo.proto3opaque.Implicit.string"},
		{"in a message", new(proto3.All), field(2, field(14, bad)), "zoo.proto3.Explicit.string"},
		{"in messages of a list", new(proto3.All), field(9, "") + field(9, field(9, field(1, field(14, bad)))), "zoo.proto3.Implicit.string"},
		{"in a list", new(proto3.Expanded), field(14, "good") + field(14, bad), "zoo.proto3.Expanded.string"},
		{"a key", new(proto3.Maps), field(14, field(1, bad)), "zoo.proto3.Maps.from_string"},
		{"a value", new(proto3.Maps), field(1014, field(2, bad)), "zoo.proto3.Maps.to_string"},
		{"in a value", new(proto3.Maps), field(50, field(2, field(2, bad))), "zoo.proto3.Small.text"},
		{"an entry", new(proto3.Maps), field(50, "\x08"), "zoo.proto3.Maps.to_small"},
		{"cut in a length", new(proto3.All), field(2, "\x72\x05abc"), "zoo.proto3.Explicit.string"},
		{"cut in a varint", new(proto3.Implicit), "\x08\x80", "zoo.proto3.Implicit.int32"},
		{"a varint too long", new(proto3.Implicit), "\x08" + overlong, "zoo.proto3.Implicit.int32"},
		{"in a packed list", new(proto3.Packed), field(1, overlong), "zoo.proto3.Packed.int32"},
		{"half of a packed value", new(proto3.Packed), field(11, "abc"), "zoo.proto3.Packed.float"},
		{"half of a long packed value", new(proto3.Packed), field(12, "abc"), "zoo.proto3.Packed.double"},
		{"a number that does not exist", new(proto3.All), field(2, "\x00"), "zoo.proto3.Explicit"},
		{"a wire type that does not exist", new(proto3.All), "\x0f", "zoo.proto3.All.implicit"},
		{"an unknown field that is cut", new(proto3.All), field(2, "\xfa\x3e\x05"), "zoo.proto3.Explicit"},
		{"a group without end", new(proto2.Node), "\x3b", "zoo.proto2.Node.Inner"},
		{"a number in a group", new(proto2.Node), group(7, "\x0a\x02\x40\x80"), "zoo.proto2.Node.value"},
		{"behind a group", new(proto2.Node), group(7, field(1, "")) + "\x40\x80", "zoo.proto2.Node.value"},
	} {
		input := []byte(test.input)
		wantAt(t, test.name, test.message.UnmarshalRPCX(input), test.at)
		wantAt(t, test.name+", codec", codec.Decode(codec.Proto, input, test.message), test.at)
		wantAt(t, test.name+", owned", codec.DecodeOwned(codec.Proto, input, test.message), test.at)
	}
	deep := bytes.Repeat([]byte{0x3b}, wire.MaxNesting+1)
	if err := new(proto2.Node).UnmarshalRPCX(deep); err == nil || !strings.Contains(err.Error(), "deeper") {
		t.Errorf("too deep: %v", err)
	}
}

// TestUnexplained: an error without a place stays as it is.
func TestUnexplained(t *testing.T) {
	for name, err := range map[string]error{
		"put":   foreign.ExplainPut(wire.ErrChanged, &wrapperspb.StringValue{Value: bad}),
		"parse": foreign.ExplainParse(wire.ErrChanged, nil, &wrapperspb.StringValue{}),
	} {
		if err != wire.ErrChanged {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func wantAt(t *testing.T, what string, err error, at string) {
	t.Helper()
	if err == nil || !strings.HasSuffix(err.Error(), "(at "+at+")") {
		t.Errorf("%s: %v, want it at %s", what, err, at)
	}
}
