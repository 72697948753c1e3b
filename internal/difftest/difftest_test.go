package difftest

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/testdata/zoo/proto2"
)

// prefixes are those of the names of all messages that are tested here.
var prefixes = []string{"zoo.", "golden.large."}

// TestRoundTrip compares random messages of every type.
func TestRoundTrip(t *testing.T) {
	for _, err := range RoundTrip(Types(prefixes...), 10, 1) {
		t.Error(err)
	}
}

// TestInputs compares random inputs, some of which are not valid.
func TestInputs(t *testing.T) {
	if err := Inputs(t.Context(), Types(prefixes...), 10_000, 1); err != nil {
		t.Error(err)
	}
}

// TestGenerator: enough of the inputs are valid, and enough are not.
func TestGenerator(t *testing.T) {
	const runs = 2000
	g := NewGenerator(Types(prefixes...), 1)
	valid := 0
	for range runs {
		mt, data := g.Next()
		if reference.Unmarshal(data, mt.New().Interface()) == nil {
			valid++
		}
	}
	if valid < runs/3 || valid > runs*9/10 {
		t.Errorf("%d of %d inputs are valid", valid, runs)
	}
}

// TestMistakes: a codec with a mistake is found out.
func TestMistakes(t *testing.T) {
	for _, mistake := range Mistakes() {
		c, err := Broken(mistake)
		if err != nil {
			t.Fatal(err)
		}
		g := NewGenerator(Types(prefixes...), 1)
		found := false
		for range 2000 {
			mt, data := g.Next()
			if err := (Checker{Codec: c}).Check(mt, data); err != nil {
				found = true
				break
			}
		}
		if !found {
			t.Errorf("%s is not found", mistake)
		}
	}
	if _, err := Broken("no such"); err == nil || !strings.Contains(err.Error(), "flip") {
		t.Errorf("no such mistake: %v", err)
	}
}

// TestMarshalMistakes: CheckMessage finds what is wrong when messages are marshalled.
func TestMarshalMistakes(t *testing.T) {
	order := 0
	for _, mistake := range []string{"size", "flip", "short"} {
		c, err := Broken(mistake)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Checker{Codec: c}).CheckMessage(&proto2.Small{Number: proto.Int32(7)}); err == nil {
			t.Errorf("%s is not found", mistake)
		}
	}
	if err := (Checker{Codec: codec.Proto, Deterministic: func(dst []byte, m proto.Message) ([]byte, error) {
		order++
		return append(dst, 0x20, byte(order)), nil // an unknown field
	}}).CheckMessage(&proto2.Small{}); err == nil {
		t.Error("marshalling that is not deterministic is not found")
	}
	incomplete := &proto2.Required{}
	if err := CheckMessage(incomplete); err != nil {
		t.Error(err)
	}
	if err := CheckMessage(&proto2.Small{Text: proto.String("text")}); err != nil {
		t.Error(err)
	}
}

// TestTooDeep: unknown groups count as nesting.
func TestTooDeep(t *testing.T) {
	md := new(proto2.Node).ProtoReflect().Descriptor()
	nested := func(depth int, wrap func([]byte) []byte) []byte {
		var data []byte
		for range depth {
			data = wrap(data)
		}
		return data
	}
	group := func(number protowire.Number) func([]byte) []byte {
		return func(inner []byte) []byte {
			out := protowire.AppendTag(nil, number, protowire.StartGroupType)
			return protowire.AppendTag(append(out, inner...), number, protowire.EndGroupType)
		}
	}
	message := func(inner []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	}
	for _, test := range []struct {
		name string
		wrap func([]byte) []byte
	}{{"unknown groups", group(100)}, {"messages", message}, {"known groups", group(7)}} {
		if tooDeep(md, nested(codec.MaxNesting-1, test.wrap)) {
			t.Errorf("%s: too deep below the limit", test.name)
		}
		if !tooDeep(md, nested(codec.MaxNesting, test.wrap)) {
			t.Errorf("%s: not too deep above the limit", test.name)
		}
	}
}

// FuzzGlue compares codec.Proto with protobuf-go. The number chooses the type
// of message.
func FuzzGlue(f *testing.F) {
	Fuzz(f, Types(prefixes...))
}

// TestRequiredInLaterMembers: protobuf-go unmarshals a oneof whose second member
// lacks a required field, and refuses to marshal it. The codec refuses both.
func TestRequiredInLaterMembers(t *testing.T) {
	mt := new(proto2.RequiredWithin).ProtoReflect().Type()
	data := []byte{6<<3 | 2, 0}
	if err := Check(mt, data); err != nil {
		t.Error(err)
	}
	m := mt.New().Interface()
	if err := codec.Proto.Unmarshal(data, m); err == nil {
		t.Error("the codec unmarshals it")
	}
	if err := proto.Unmarshal(data, m); err != nil {
		t.Errorf("protobuf-go sees it too, so that Check need not allow for it: %v", err)
	}
}

// TestSignallingNaN: protobuf-go makes NaNs in maps quiet, which is no difference
// between codecs.
func TestSignallingNaN(t *testing.T) {
	m := &proto2.Maps{ToFloat: map[string]float32{"": math.Float32frombits(0x7f80009e)}}
	data, err := codec.Proto.AppendMarshal(nil, m, m.SizeRPCX())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte{0x9e, 0, 0x80, 0x7f}) {
		t.Errorf("%x changes the NaN", data)
	}
	if err := Check(m.ProtoReflect().Type(), data); err != nil {
		t.Error(err)
	}
}
