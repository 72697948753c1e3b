package fanout

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/testdata/gen/shard/hybrid"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/opaque"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/shard/users"
)

// TestWithoutField compares with a deep copy whose field is cleared.
func TestWithoutField(t *testing.T) {
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 100, protowire.VarintType), 7)
	const text = "\x0a\x02\x08\x07" + // parent
		"\x12\x02\x01\x02" + // ids
		"\x1a\x07\x0a\x01k\x12\x02\x08\x09" + // index
		"\x22\x01f\x22\x01g" + // fields
		"\x32\x02\x08\x05" + // user
		"\x38\x00" // number, zero
	for _, msg := range []proto.Message{new(usersv1.GetManyRequest), new(hybrid.GetManyRequest), new(opaque.GetManyRequest)} {
		if err := proto.Unmarshal(append([]byte(text), unknown...), msg); err != nil {
			t.Fatal(err)
		}
		before := proto.Clone(msg)
		fields := msg.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			want := proto.Clone(msg)
			want.ProtoReflect().Clear(field)
			var got proto.Message
			switch m := msg.(type) {
			case *usersv1.GetManyRequest:
				got = WithoutField(m, field.Number())
			case *hybrid.GetManyRequest:
				got = WithoutField(m, field.Number())
			case *opaque.GetManyRequest:
				got = WithoutField(m, field.Number())
			}
			if !proto.Equal(want, got) {
				t.Errorf("%T without %s = %v, want %v", msg, field.Name(), got, want)
			}
			// Setting the field in the copy leaves the original as it is.
			got.ProtoReflect().Set(field, got.ProtoReflect().NewField(field))
		}
		if !proto.Equal(before, msg) {
			t.Errorf("%T has changed: %v, was %v", msg, msg, before)
		}
	}
	if got := WithoutField((*usersv1.GetManyRequest)(nil), 2); got == nil || !proto.Equal(got, new(usersv1.GetManyRequest)) {
		t.Errorf("copy of nil = %v", got)
	}
}
