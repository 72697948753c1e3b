package jsoncodec

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rpcx-go/rpcx/runtime/codec"
	fieldspb "github.com/rpcx-go/rpcx/testdata/gen/fields"
)

// FuzzJSON decodes arbitrary bytes. What can be decoded is marshalled, to the
// same bytes each time, and decoded again to the same message; what cannot has a
// short error. What the strict codec takes the other one takes for the same.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `{"text":"x","bytes":"aGVsbG8","int32":1e3,"double":"NaN","message":{"bool":true}}`,
		`{"text":{"1":"a","-1":"b"},"known":{"7":"2026-01-02T03:04:05.678Z"},"color":{"a":"COLOR_RED","b":7}}`,
		`{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/golden.fields.Text","text":"x"}},"duration":"1.5s"}`,
		`{"struct":{"a":[1,null,{"b":"c"}]},"value":null,"listValue":[[]],"fieldMask":"aB,c.d","boolValue":false}`,
		`{"new":[{"x":[1,2,3]}],"bytesValue":["",null]}`, `{"\u0074ext":"\ud83d\ude00"}`, "{\"a\"\n:\xff}",
	} {
		for kind := range 5 {
			f.Add(byte(kind), []byte(seed))
		}
	}
	strict := New(Options{RefuseUnknown: true})
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		blank := []proto.Message{new(fieldspb.Present), new(fieldspb.Maps), new(fieldspb.Known), new(structpb.Value), new(anypb.Any)}[kind%5]
		m := proto.Clone(blank)
		err := codec.Decode(Codec, data, m)
		if same := proto.Clone(blank); codec.Decode(strict, data, same) == nil && (err != nil || !equal(m, same)) {
			t.Fatalf("strict takes %q for %v, the other one for %v, %v", data, same, m, err)
		}
		if err != nil {
			if text := err.Error(); len(text) > 2*maxReason+maxPath || utf8.Valid(data) && !utf8.ValidString(text) {
				t.Fatalf("%q: %q", data, text)
			}
			return
		}
		size, err := codec.Size(Codec, m)
		if err != nil {
			t.Fatalf("%q becomes %v, which has no size: %v", data, m, err)
		}
		text, err := codec.Append(Codec, nil, m, size)
		if err != nil {
			t.Fatalf("%q becomes %v, which cannot be marshalled: %v", data, m, err)
		}
		back := proto.Clone(blank)
		if err := codec.Decode(strict, text, back); err != nil || !equal(m, back) {
			t.Fatalf("%v\nbecomes %s\nand then %v, %v", m, text, back, err)
		}
		if again, err := codec.Append(Codec, nil, back, size); err != nil || !bytes.Equal(text, again) {
			t.Fatalf("%s\nbecomes %s, %v", text, again, err)
		}
	})
}

// equal is proto.Equal, but for the order in which maps within an Any are
// written.
func equal(a, b proto.Message) bool {
	if proto.Equal(a, b) {
		return true
	}
	o := proto.MarshalOptions{Deterministic: true}
	x, err := o.Marshal(a)
	y, err2 := o.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
