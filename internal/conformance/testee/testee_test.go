package testee

import (
	"bytes"
	"encoding/binary"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rpcx-go/rpcx/internal/difftest"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/testdata/zoo/proto3"
)

// messages is the part of the runner's proto that the testee uses.
const messages = `
	name: "conformance_test.proto" package: "conformance" syntax: "proto3"
	enum_type { name: "WireFormat"
		value { name: "UNSPECIFIED" number: 0 } value { name: "PROTOBUF" number: 1 } value { name: "JSON" number: 2 }
		value { name: "JSPB" number: 3 } value { name: "TEXT_FORMAT" number: 4 } }
	enum_type { name: "TestCategory"
		value { name: "UNSPECIFIED_TEST" number: 0 } value { name: "JSON_IGNORE_UNKNOWN_PARSING_TEST" number: 3 } }
	message_type { name: "ConformanceRequest"
		oneof_decl { name: "payload" }
		field { name: "protobuf_payload" number: 1 label: LABEL_OPTIONAL type: TYPE_BYTES oneof_index: 0 }
		field { name: "json_payload" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "jspb_payload" number: 7 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "text_payload" number: 8 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "requested_output_format" number: 3 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".conformance.WireFormat" }
		field { name: "message_type" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING }
		field { name: "test_category" number: 5 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".conformance.TestCategory" }
		field { name: "print_unknown_fields" number: 9 label: LABEL_OPTIONAL type: TYPE_BOOL } }
	message_type { name: "ConformanceResponse"
		oneof_decl { name: "result" }
		field { name: "parse_error" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "runtime_error" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "protobuf_payload" number: 3 label: LABEL_OPTIONAL type: TYPE_BYTES oneof_index: 0 }
		field { name: "json_payload" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "skipped" number: 5 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "serialize_error" number: 6 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
		field { name: "text_payload" number: 8 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 } }`

func TestMain(m *testing.M) {
	fdp := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(messages), fdp); err != nil {
		panic(err)
	}
	fd, err := protodesc.NewFile(fdp, nil)
	if err != nil {
		panic(err)
	}
	for i := range fd.Messages().Len() {
		if err := protoregistry.GlobalTypes.RegisterMessage(dynamicpb.NewMessageType(fd.Messages().Get(i))); err != nil {
			panic(err)
		}
	}
	m.Run()
}

// newMessage returns one of the runner's messages, given as text.
func newMessage(t *testing.T, name protoreflect.FullName, text string) proto.Message {
	t.Helper()
	mt, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		t.Fatal(err)
	}
	m := mt.New().Interface()
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// ask has the testee answer one request and returns which field of the answer is set.
func ask(t *testing.T, testee *Testee, request string) (field protoreflect.Name, value protoreflect.Value) {
	t.Helper()
	data, err := proto.Marshal(newMessage(t, "conformance.ConformanceRequest", request))
	if err != nil {
		t.Fatal(err)
	}
	in := append(binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data...)
	var out bytes.Buffer
	if err := testee.Serve(bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	res := newMessage(t, "conformance.ConformanceResponse", "")
	if size := binary.LittleEndian.Uint32(out.Next(4)); int(size) != out.Len() {
		t.Fatalf("an answer of %d bytes is said to have %d", out.Len(), size)
	}
	if err := proto.Unmarshal(out.Bytes(), res); err != nil {
		t.Fatal(err)
	}
	res.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		field, value = fd.Name(), v
		return true
	})
	return field, value
}

func TestAnswers(t *testing.T) {
	const small = ` message_type: "zoo.proto3.Small"`
	for _, test := range []struct {
		name, request string
		field         protoreflect.Name
	}{
		{"protobuf", `protobuf_payload: "\x08\x07" requested_output_format: PROTOBUF` + small, "protobuf_payload"},
		{"protobuf to JSON", `protobuf_payload: "\x08\x07" requested_output_format: JSON` + small, "json_payload"},
		{"JSON to text", `json_payload: "{\"number\":7}" requested_output_format: TEXT_FORMAT` + small, "text_payload"},
		{"text to protobuf", `text_payload: "number: 7" requested_output_format: PROTOBUF` + small, "protobuf_payload"},
		{"bad protobuf", `protobuf_payload: "\xff" requested_output_format: PROTOBUF` + small, "parse_error"},
		{"bad JSON", `json_payload: "{" requested_output_format: PROTOBUF` + small, "parse_error"},
		{"unknown JSON", `json_payload: "{\"x\":1}" requested_output_format: PROTOBUF` + small, "parse_error"},
		{"ignored JSON", `json_payload: "{\"x\":1}" requested_output_format: JSON test_category: JSON_IGNORE_UNKNOWN_PARSING_TEST` + small, "json_payload"},
		{"JSPB", `jspb_payload: "" requested_output_format: PROTOBUF` + small, "skipped"},
		{"no output", `protobuf_payload: ""` + small, "runtime_error"},
		{"no such type", `protobuf_payload: "" requested_output_format: PROTOBUF message_type: "no.Such"`, "runtime_error"},
	} {
		testee := &Testee{Codec: codec.Proto}
		field, value := ask(t, testee, test.request)
		if field != test.field {
			t.Errorf("%s: answer %s: %v, want %s", test.name, field, value, test.field)
		}
		if field == "protobuf_payload" {
			var got proto3.Small
			if err := proto.Unmarshal(value.Bytes(), &got); err != nil || got.GetNumber() != 7 {
				t.Errorf("%s: answer %v, %v", test.name, &got, err)
			}
		}
		if testee.divergences != 0 {
			t.Errorf("%s: %s", test.name, testee.Summary())
		}
	}
}

// TestBreak: a testee with a mistake reports a divergence for it.
func TestBreak(t *testing.T) {
	for mistake, request := range map[string]string{
		"flip":           `protobuf_payload: "\x08\x07" requested_output_format: JSON`,
		"size":           `json_payload: "{\"number\":7}" requested_output_format: JSON`,
		"accept":         `protobuf_payload: "\x08" requested_output_format: PROTOBUF`,
		"alias":          `protobuf_payload: "\xa0\x06\x01" requested_output_format: PROTOBUF`,
		"forget-unknown": `protobuf_payload: "\xa0\x06\x01" requested_output_format: PROTOBUF`,
	} {
		c, err := difftest.Broken(mistake)
		if err != nil {
			t.Fatal(err)
		}
		testee := &Testee{Codec: c}
		field, value := ask(t, testee, request+` message_type: "zoo.proto3.Small"`)
		if field != "runtime_error" || testee.divergences != 1 {
			t.Errorf("%s: answer %s: %v, %s", mistake, field, value, testee.Summary())
		}
	}
}
