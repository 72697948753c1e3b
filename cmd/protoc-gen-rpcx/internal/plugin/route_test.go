package plugin

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	optionsv1 "github.com/rpcx-go/rpcx/proto/rpcx/options/v1"
)

// usersProto has fields of all sorts, and a method on whose options the tests decide.
const usersProto = `
name: "users.proto" package: "users" syntax: "proto2"
options { go_package: "example.com/users" }
message_type {
  name: "Request"
  field { name: "user" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".users.User" }
  field { name: "size" number: 2 label: LABEL_OPTIONAL type: TYPE_UINT32 }
  field { name: "exact" number: 3 label: LABEL_OPTIONAL type: TYPE_BOOL }
  field { name: "score" number: 4 label: LABEL_OPTIONAL type: TYPE_DOUBLE }
  field { name: "users" number: 5 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".users.User" }
  field { name: "names" number: 6 label: LABEL_REPEATED type: TYPE_STRING }
  field { name: "index" number: 7 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".users.Request.IndexEntry" }
  field { name: "group" number: 8 label: LABEL_OPTIONAL type: TYPE_GROUP type_name: ".users.Request.Group" }
  field { name: "many" number: 9 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".users.Many" }
  nested_type {
    name: "IndexEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING }
  }
  nested_type { name: "Group" field { name: "ratio" number: 1 label: LABEL_OPTIONAL type: TYPE_FLOAT } }
}
message_type {
  name: "User"
  field { name: "id" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "color" number: 2 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".users.Color" }
  field { name: "parent" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".users.User" }
}
message_type {
  name: "Many"
  field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 } field { name: "b" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 }
  field { name: "c" number: 3 label: LABEL_OPTIONAL type: TYPE_INT32 } field { name: "d" number: 4 label: LABEL_OPTIONAL type: TYPE_INT32 }
  field { name: "e" number: 5 label: LABEL_OPTIONAL type: TYPE_INT32 } field { name: "f" number: 6 label: LABEL_OPTIONAL type: TYPE_INT32 }
  field { name: "g" number: 7 label: LABEL_OPTIONAL type: TYPE_INT32 } field { name: "h" number: 8 label: LABEL_OPTIONAL type: TYPE_INT32 }
  field { name: "i" number: 9 label: LABEL_OPTIONAL type: TYPE_INT32 } field { name: "j" number: 10 label: LABEL_OPTIONAL type: TYPE_INT32 }
  field { name: "k" number: 11 label: LABEL_OPTIONAL type: TYPE_INT32 } field { name: "l" number: 12 label: LABEL_OPTIONAL type: TYPE_INT32 }
  field { name: "m" number: 13 label: LABEL_OPTIONAL type: TYPE_INT32 } field { name: "n" number: 14 label: LABEL_OPTIONAL type: TYPE_INT32 }
}
enum_type { name: "Color" value { name: "RED" number: 0 } }
service { name: "Users" method { name: "Get" input_type: ".users.Request" output_type: ".users.User" } }
source_code_info {
  location { path: [6, 0, 2, 0] span: [30, 2, 34, 3] }
  location { path: [6, 0, 2, 0, 4, 57290] span: [31, 4, 60] }
}
`

// respondToOptions generates the file above, with the given options and, if they are
// not zero, kinds of method.
func respondToOptions(t *testing.T, options *optionsv1.MethodOptions, change func(*descriptorpb.FileDescriptorProto)) string {
	t.Helper()
	file := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(usersProto), file); err != nil {
		t.Fatal(err)
	}
	method := file.GetService()[0].GetMethod()[0]
	method.Options = new(descriptorpb.MethodOptions)
	proto.SetExtension(method.Options, optionsv1.E_Method, options)
	if change != nil {
		change(file)
	}
	return Respond(&pluginpb.CodeGeneratorRequest{
		ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
		FileToGenerate: []string{file.GetName()},
	}).GetError()
}

func TestRouteErrors(t *testing.T) {
	const at = `users.proto:32:5: method users.Users.Get: route `
	const all = ` (would do: size, user.id, user.color, many.a, many.b, many.c, many.d, many.e, many.f, many.g, many.h, many.i and 5 more)`
	for _, test := range []struct{ route, want string }{
		{"user.id", ``},
		{"user.color", ``},
		{"user.parent.parent.id", ``},
		{"user.idd", at + `"user.idd": message users.User has no field "idd" (would do: user.id, user.color, user.parent.id, user.parent.color)`},
		{"id", at + `"id": message users.Request has no field "id"` + all},
		{"", at + `"": the path is empty` + all},
		{"user..id", at + `"user..id": there is a dot too many (would do: user.id, user.color, user.parent.id, user.parent.color)`},
		{"user.", at + `"user.": there is a dot too many (would do: user.id, user.color, user.parent.id, user.parent.color)`},
		{".size", at + `".size": there is a dot too many` + all},
		{"user", at + `"user": field "user" is a message, and a key is a single value (would do: user.id, user.color, user.parent.id, user.parent.color)`},
		{"group", at + `"group": field "group" is a message, and a key is a single value (no field of users.Request.Group would do)`},
		{"group.ratio", at + `"group.ratio": field "ratio" is of type float, and a key is a string, bytes, a whole number or an enum (no field of users.Request.Group would do)`},
		{"exact", at + `"exact": field "exact" is of type bool, and a key is a string, bytes, a whole number or an enum` + all},
		{"score", at + `"score": field "score" is of type double, and a key is a string, bytes, a whole number or an enum` + all},
		{"names", at + `"names": field "names" is repeated, and a call has one key` + all},
		{"users.id", at + `"users.id": field "users" is repeated, and a call has one key` + all},
		{"index", at + `"index": field "index" is a map, and a call has one key` + all},
		{"index.key", at + `"index.key": field "index" is a map, and a call has one key` + all},
		{"size.low", at + `"size.low": field "size" is of type uint32 and has no fields` + all},
		{"user.color.name", at + `"user.color.name": field "color" is of type users.Color and has no fields (would do: user.id, user.color, user.parent.id, user.parent.color)`},
	} {
		got := respondToOptions(t, &optionsv1.MethodOptions{Route: proto.String(test.route)}, nil)
		if got != test.want {
			t.Errorf("route %q:\n got %s\nwant %s", test.route, got, test.want)
		}
	}
}

func TestRouteOfStreams(t *testing.T) {
	for _, test := range []struct {
		name           string
		client, server bool
		want           string
	}{
		{"server-streaming", false, true, ""},
		{"client-streaming", true, false, `users.proto:32:5: method users.Users.Get: route "size": the caller streams, and where the call goes is chosen before the first message: remove the option, and have callers say rpcx.WithRouteKey`},
		{"bidi-streaming", true, true, `users.proto:32:5: method users.Users.Get: route "size": the caller streams, and where the call goes is chosen before the first message: remove the option, and have callers say rpcx.WithRouteKey`},
	} {
		got := respondToOptions(t, &optionsv1.MethodOptions{Route: proto.String("size")}, func(file *descriptorpb.FileDescriptorProto) {
			method := file.GetService()[0].GetMethod()[0]
			method.ClientStreaming, method.ServerStreaming = &test.client, &test.server
		})
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestRouteRequiredWithoutRoute(t *testing.T) {
	got := respondToOptions(t, &optionsv1.MethodOptions{RouteRequired: true}, nil)
	want := `users.proto:32:5: method users.Users.Get: route_required without a route: add one, such as route: "id", or remove it`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestErrorPosition checks that an error names the most exact position that there is.
func TestErrorPosition(t *testing.T) {
	for _, test := range []struct {
		name string
		path []int32
		want string
	}{
		{"option", []int32{6, 0, 2, 0, 4, 57290}, "users.proto:8:3: "},
		{"field of the option", []int32{6, 0, 2, 0, 4, 57290, 3}, "users.proto:8:3: "},
		{"method", []int32{6, 0, 2, 0}, "users.proto:8:3: "},
		{"service", []int32{6, 0}, "users.proto:8:3: "},
		{"another field of the option", []int32{6, 0, 2, 0, 4, 57290, 2}, "users.proto:1:1: "},
	} {
		got := respondToOptions(t, &optionsv1.MethodOptions{RouteRequired: true}, func(file *descriptorpb.FileDescriptorProto) {
			file.SourceCodeInfo.Location = []*descriptorpb.SourceCodeInfo_Location{{Path: test.path, Span: []int32{7, 2, 9}}}
		})
		if len(got) < len(test.want) || got[:len(test.want)] != test.want {
			t.Errorf("%s: got %s, want it to start with %s", test.name, got, test.want)
		}
	}
}

// TestRouteOfHybridClash checks that a field is refused whose accessors' names
// depend on a build tag.
func TestRouteOfHybridClash(t *testing.T) {
	for _, test := range []struct{ level, want string }{
		{"API_OPEN", ""},
		{"API_OPAQUE", ""},
		{"API_HYBRID", `users.proto:32:5: method users.Users.Get: route "size": field "size" of message users.Request, of the hybrid API, ` +
			`clashes with another one, so that its accessors have other names with the build tag protoopaque: ` +
			`rename it, or use the open or the opaque API (would do: set_size, user.id, user.color)`},
	} {
		file := new(descriptorpb.FileDescriptorProto)
		if err := prototext.Unmarshal([]byte(usersProto), file); err != nil {
			t.Fatal(err)
		}
		request := file.GetMessageType()[0]
		request.Field = request.Field[:2]
		request.Field = append(request.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String("set_size"), Number: proto.Int32(20),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Type: descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum(),
		})
		method := file.GetService()[0].GetMethod()[0]
		method.Options = new(descriptorpb.MethodOptions)
		proto.SetExtension(method.Options, optionsv1.E_Method, &optionsv1.MethodOptions{Route: proto.String("size")})
		got := Respond(&pluginpb.CodeGeneratorRequest{
			Parameter:      proto.String("default_api_level=" + test.level),
			ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
			FileToGenerate: []string{file.GetName()},
		}).GetError()
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.level, got, test.want)
		}
	}
}
