package plugin

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	optionsv1 "github.com/rpcx-go/rpcx/proto/rpcx/options/v1"
)

// listed gives the request of usersProto's method fields of all sorts to split, and
// has it return them too.
func listed(t *testing.T) func(*descriptorpb.FileDescriptorProto) {
	return func(file *descriptorpb.FileDescriptorProto) {
		const fields = `
			field { name: "flags" number: 20 label: LABEL_REPEATED type: TYPE_BOOL }
			field { name: "ratios" number: 21 label: LABEL_REPEATED type: TYPE_DOUBLE }
			field { name: "colors" number: 22 label: LABEL_REPEATED type: TYPE_ENUM type_name: ".users.Color" }
			field { name: "groups" number: 23 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".users.Request.Group" }`
		more := new(descriptorpb.DescriptorProto)
		if err := prototext.Unmarshal([]byte(fields), more); err != nil {
			t.Fatal(err)
		}
		request := file.GetMessageType()[0]
		request.Field = append(request.Field, more.Field...)
		file.GetService()[0].GetMethod()[0].OutputType = proto.String(".users.Request")
	}
}

func TestShardErrors(t *testing.T) {
	const at = `users.proto:32:5: method users.Users.Get: shard: `
	const splits = ` (would do: users, names, colors)`
	const merges = ` (would do: users, names, flags, ratios, colors, groups)`
	const keys = ` (would do: id, color, parent.id, parent.color)`
	for _, test := range []struct{ split, key, merge, want string }{
		{"names", "", "names", ``},
		{"users", "id", "groups", ``},
		{"users", "parent.color", "flags", ``},
		{"colors", "", "ratios", ``},

		{"", "", "names", at + `split "": it is missing` + splits},
		{"ids", "", "names", at + `split "ids": message users.Request has no field "ids"` + splits},
		{"user.names", "", "names", at + `split "user.names": message users.Request has no field "user.names"` + splits},
		{"size", "", "names", at + `split "size": field "size" is not repeated` + splits},
		{"user", "id", "names", at + `split "user": field "user" is not repeated` + splits},
		{"index", "", "names", at + `split "index": field "index" is a map, and its entries have no order` + splits},
		{"flags", "", "names", at + `split "flags": elements of "flags" are of type bool, which has no key` + splits},
		{"ratios", "", "names", at + `split "ratios": elements of "ratios" are of type double, which has no key` + splits},
		{"groups", "ratio", "names", at + `split "groups": elements of "groups" are of type users.Request.Group, which has no key` + splits},

		{"names", "", "", at + `merge "": it is missing` + merges},
		{"names", "", "size", at + `merge "size": field "size" is not repeated` + merges},
		{"names", "", "index", at + `merge "index": field "index" is a map, and its entries have no order` + merges},
		{"names", "", "found", at + `merge "found": message users.Request has no field "found"` + merges},

		{"names", "id", "names", at + `key "id": elements of "names" are of type string and have no fields: leave the key out, since they are keys themselves`},
		{"users", "", "names", at + `key "": the path is empty` + keys},
		{"users", "idd", "names", at + `key "idd": message users.User has no field "idd"` + keys},
		{"users", "parent", "names", at + `key "parent": field "parent" is a message, and a key is a single value (would do: parent.id, parent.color, parent.parent.id, parent.parent.color)`},
	} {
		got := respondToOptions(t, &optionsv1.MethodOptions{
			Shard: &optionsv1.MethodOptions_Shard{Split: test.split, Key: test.key, Merge: test.merge},
		}, listed(t))
		if got != test.want {
			t.Errorf("split %q, key %q, merge %q:\n got %s\nwant %s", test.split, test.key, test.merge, got, test.want)
		}
	}
}

func TestShardWithoutFields(t *testing.T) {
	got := respondToOptions(t, &optionsv1.MethodOptions{Shard: &optionsv1.MethodOptions_Shard{Split: "names", Merge: "ids"}}, nil)
	want := `users.proto:32:5: method users.Users.Get: shard: merge "ids": message users.User has no field "ids" (no field of users.User would do)`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestShardOfStreams(t *testing.T) {
	for _, client := range []bool{false, true} {
		got := respondToOptions(t, &optionsv1.MethodOptions{Shard: &optionsv1.MethodOptions_Shard{Split: "names", Merge: "names"}},
			func(file *descriptorpb.FileDescriptorProto) {
				method := file.GetService()[0].GetMethod()[0]
				method.ClientStreaming, method.ServerStreaming = proto.Bool(client), proto.Bool(!client)
			})
		want := `users.proto:32:5: method users.Users.Get: shard: it is streaming, and only requests of unary methods are split: remove the option`
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// TestRouteRequiredOfShard allows for keys to be required of elements alone.
func TestRouteRequiredOfShard(t *testing.T) {
	got := respondToOptions(t, &optionsv1.MethodOptions{
		RouteRequired: true, Shard: &optionsv1.MethodOptions_Shard{Split: "names", Merge: "names"},
	}, listed(t))
	if got != "" {
		t.Error(got)
	}
}
