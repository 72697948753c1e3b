package fill_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rpcx-go/rpcx/internal/fill"
	"github.com/rpcx-go/rpcx/testdata/zoo/edition2023"
	"github.com/rpcx-go/rpcx/testdata/zoo/edition2024"
	"github.com/rpcx-go/rpcx/testdata/zoo/extensions"
	"github.com/rpcx-go/rpcx/testdata/zoo/mixed"
	"github.com/rpcx-go/rpcx/testdata/zoo/proto2"
	"github.com/rpcx-go/rpcx/testdata/zoo/proto3"
)

var messages = []proto.Message{
	&proto2.All{}, &proto3.All{}, &edition2023.All{}, &edition2024.All{},
	&proto2.RequiredWithin{}, &edition2023.Text{}, &extensions.Extended{}, &extensions.Only{}, &mixed.Known{},
}

// TestFill: messages can be marshalled, and are the same for the same seed.
func TestFill(t *testing.T) {
	for _, m := range messages {
		one, two := fill.New(7), fill.New(7)
		name := m.ProtoReflect().Descriptor().FullName()
		for range 100 {
			a, b := m.ProtoReflect().New(), m.ProtoReflect().New()
			one.Fill(a)
			two.Fill(b)
			data, err := proto.Marshal(a.Interface())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !proto.Equal(a.Interface(), b.Interface()) {
				t.Fatalf("%s: the same seed gives\n%v and\n%v", name, a, b)
			}
			back := a.New().Interface()
			if err := proto.Unmarshal(data, back); err != nil || !proto.Equal(a.Interface(), back) {
				t.Fatalf("%s does not come back from %x: %v", name, data, err)
			}
		}
	}
}

// TestEverything: in the long run every field is both set and left out, at
// several depths, and there are unknown fields.
func TestEverything(t *testing.T) {
	f := fill.New(1)
	for _, m := range messages {
		set := make(map[protoreflect.FullName]int)
		md := m.ProtoReflect().Descriptor()
		const runs = 1000
		var unknown, deep int
		for range runs {
			filled := m.ProtoReflect().New()
			f.Fill(filled)
			filled.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
				set[fd.FullName()]++
				return true
			})
			if len(filled.GetUnknown()) > 0 {
				unknown++
			}
			if depth(filled) > 2 {
				deep++
			}
		}
		want := md.Fields().Len()
		for i := range want {
			if n := set[md.Fields().Get(i).FullName()]; n == 0 || n == runs {
				t.Errorf("%s is set %d times in %d", md.Fields().Get(i).FullName(), n, runs)
			}
		}
		if md.ExtensionRanges().Len() > 0 && len(set) == want {
			t.Errorf("%s has no extensions", md.FullName())
		}
		if unknown == 0 || unknown == runs {
			t.Errorf("%s has unknown fields %d times in %d", md.FullName(), unknown, runs)
		}
		if deep == 0 && md.Name() == "All" {
			t.Errorf("%s is never deep", md.FullName())
		}
	}
}

// TestValues: the limit on values bounds a message.
func TestValues(t *testing.T) {
	f := fill.New(1)
	f.Values, f.Depth = 10, 50
	for range 200 {
		m := new(proto2.All)
		f.Fill(m.ProtoReflect())
		if n := proto.Size(m); n > 20_000 {
			t.Errorf("%d bytes for about 10 values", n)
		}
	}
}

// depth returns how many levels of messages there are.
func depth(m protoreflect.Message) int {
	most := 0
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				most = max(most, depth(v.List().Get(i).Message()))
			}
		default:
			most = max(most, depth(v.Message()))
		}
		return true
	})
	return most + 1
}
