// Package jsoncodec turns messages into protobuf's JSON mapping and back.
//
// It is apart from package codec so that programs which speak binary protobuf only
// do not carry it. A Conn or a Server speaks JSON with the option rpcx.WithCodec.
package jsoncodec

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Options are what a codec does that it would not do by itself.
type Options struct {
	// RefuseUnknown has fields and names of enum values that a message's type does
	// not know fail the decoding. By default they are ignored.
	RefuseUnknown bool
}

// Codec is the JSON codec without options.
var Codec = New(Options{})

// New returns a JSON codec, which is used concurrently.
//
// Equal messages have equal bytes, without white space between tokens, whatever
// program marshals them: fields are in the order of the proto file, maps in that
// of their keys. A message is marshalled once for its size and once for its
// bytes. Messages nested deeper than [codec.MaxNesting], those within an Any
// included, and more than 10 Anys in one another are refused both ways. Whatever an Any or an extension holds must be
// linked into the program. Messages must be proto.Messages.
func New(o Options) codec.Codec {
	return jsonCodec{unmarshal: protojson.UnmarshalOptions{
		DiscardUnknown: !o.RefuseUnknown,
		RecursionLimit: codec.MaxNesting,
	}}
}

type jsonCodec struct{ unmarshal protojson.UnmarshalOptions }

func (jsonCodec) ID() codec.ID { return codec.JSONID }
func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Size(msg any) (int, error) {
	m, ok := msg.(proto.Message)
	if !ok {
		return 0, notProto(msg)
	}
	if err := checkNesting(m.ProtoReflect(), codec.MaxNesting, maxAnys); err != nil {
		return 0, status.Errorf(status.Internal, "marshal %T as JSON: %w", msg, err)
	}
	out, err := appendJSON(nil, m)
	return len(out), err
}

func (jsonCodec) AppendMarshal(dst []byte, msg any, _ int) ([]byte, error) {
	m, ok := msg.(proto.Message)
	if !ok {
		return dst, notProto(msg)
	}
	return appendJSON(dst, m)
}

func appendJSON(dst []byte, m proto.Message) ([]byte, error) {
	out, err := protojson.MarshalOptions{}.MarshalAppend(dst, m)
	if err != nil {
		return dst, status.Errorf(status.Internal, "marshal %T as JSON: %s", m, clean(err.Error()))
	}
	return compact(out, len(dst)), nil
}

// compact removes the white space between the tokens of the JSON that begins at
// from: there is more or less of it, depending on the program.
func compact(b []byte, from int) []byte {
	out := b[:from]
	quoted, escaped := false, false
	for _, c := range b[from:] {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped = c == '\\'
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == ' ', c == '\n', c == '\t', c == '\r':
			continue
		}
		out = append(out, c)
	}
	return out
}

func (c jsonCodec) Unmarshal(data []byte, msg any) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return notProto(msg)
	}
	if err := checkAnys(data); err != nil {
		return fmt.Errorf("JSON of %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	if err := c.unmarshal.Unmarshal(data, m); err != nil {
		return explain(err.Error(), data, m)
	}
	return nil
}

// UnmarshalOwned is Unmarshal: nothing of JSON can be used as it is.
func (c jsonCodec) UnmarshalOwned(data []byte, msg any) error { return c.Unmarshal(data, msg) }

func notProto(msg any) error {
	return status.New(status.Internal, fmt.Sprintf("%T is not a protobuf message: it has no JSON", msg))
}
