package codec_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func TestProto(t *testing.T) {
	c := codec.Proto
	if c.ID() != codec.ProtoID || c.Name() != "proto" {
		t.Errorf("codec %d %q", c.ID(), c.Name())
	}
	msg := wrapperspb.String("hello")
	size, err := codec.Size(c, msg)
	if err != nil || size != 7 {
		t.Fatalf("size %d, %v", size, err)
	}
	out, err := codec.Append(c, []byte("before"), msg, size)
	if err != nil || string(out) != "before\x0a\x05hello" {
		t.Errorf("got %q, %v", out, err)
	}
	var got wrapperspb.StringValue
	if err := codec.Decode(c, out[6:], &got); err != nil || !proto.Equal(&got, msg) {
		t.Errorf("got %v, %v", &got, err)
	}
	if err := codec.Decode(c, []byte{0xff}, &got); err == nil {
		t.Error("decodes garbage")
	}
	for _, no := range []any{nil, "text", new(int)} {
		if _, err := codec.Size(c, no); status.CodeOf(err) != status.Internal {
			t.Errorf("size of %T: %v", no, err)
		}
		if err := codec.Decode(c, nil, no); err == nil {
			t.Errorf("decodes into %T", no)
		}
	}
}

// TestProtoNesting: messages are nested at most so deep, also in what the
// message's type does not know.
func TestProtoNesting(t *testing.T) {
	nested := func(depth int) []byte {
		v := structpb.NewNullValue()
		for range depth {
			v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
		}
		b, err := proto.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// Each list is two messages: the value and the list in it.
	if err := codec.Decode(codec.Proto, nested(codec.MaxNesting/2-1), new(structpb.Value)); err != nil {
		t.Errorf("below the limit: %v", err)
	}
	if err := codec.Decode(codec.Proto, nested(codec.MaxNesting), new(structpb.Value)); err == nil {
		t.Error("above the limit")
	}
}

// bad is a codec that fails as its name says.
type bad struct {
	codec.Codec
	how string
}

func (b bad) Size(any) (int, error) {
	if b.how == "size" {
		panic("size")
	}
	return 3, nil
}

func (b bad) AppendMarshal(dst []byte, _ any, _ int) ([]byte, error) {
	dst = append(dst, "abc"...)
	switch b.how {
	case "panic":
		panic("append")
	case "error":
		return dst, errors.New("cannot")
	case "short":
		return dst[:len(dst)-1], nil
	case "shorter than before":
		return dst[:1], nil
	case "long":
		return append(dst, 'd'), nil
	}
	return dst, nil
}

func (b bad) Unmarshal([]byte, any) error { panic("unmarshal") }

// TestBadCodecs: whatever a codec or a message does, the buffer is as it was.
func TestBadCodecs(t *testing.T) {
	buf := make([]byte, 0, 100)
	buf = append(buf, "before"...)
	for _, how := range []string{"panic", "error", "short", "shorter than before", "long"} {
		out, err := codec.Append(bad{nil, how}, buf, "x", 3)
		if status.CodeOf(err) != status.Internal || string(out) != "before" {
			t.Errorf("%s: got %q, %v", how, out, err)
		}
	}
	if out, err := codec.Append(bad{nil, ""}, buf, "x", 3); err != nil || string(out) != "beforeabc" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := codec.Size(bad{nil, "size"}, "x"); status.CodeOf(err) != status.Internal || !strings.Contains(err.Error(), "panic") {
		t.Errorf("size: %v", err)
	}
	if err := codec.Decode(bad{nil, ""}, nil, "x"); err == nil {
		t.Error("Decode hides a panic")
	}
}
