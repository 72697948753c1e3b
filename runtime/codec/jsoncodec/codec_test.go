package jsoncodec

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/status"
	fieldspb "github.com/rpcx-go/rpcx/testdata/gen/fields"
)

// marshal returns msg's JSON, appended to something.
func marshal(t *testing.T, msg any) string {
	t.Helper()
	size, err := codec.Size(Codec, msg)
	if err != nil {
		t.Fatal(err)
	}
	out, err := codec.Append(Codec, []byte(`before " `), msg, size)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(string(out), `before " `)
	if !ok || len(text) != size {
		t.Fatalf("%q, where the size was %d", out, size)
	}
	return text
}

func anyOf(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestJSON(t *testing.T) {
	if Codec.ID() != codec.JSONID || Codec.Name() != "json" {
		t.Errorf("codec %d %q", Codec.ID(), Codec.Name())
	}
	for _, test := range []struct {
		msg, empty proto.Message
		want       string
	}{
		{&fieldspb.Text{}, new(fieldspb.Text), `{}`},
		{&fieldspb.Present{Text: proto.String(`a "b" \ c` + "\n d")}, new(fieldspb.Present), `{"text":"a \"b\" \\ c\n d"}`},
		{
			&fieldspb.Maps{Text: map[int32]string{10: "ten", 9: "nine", -1: " "}}, new(fieldspb.Maps),
			`{"text":{"-1":" ","9":"nine","10":"ten"}}`,
		},
		{wrapperspb.Bytes([]byte("hello")), new(wrapperspb.BytesValue), `"aGVsbG8="`},
		{wrapperspb.Int64(math.MinInt64), new(wrapperspb.Int64Value), `"-9223372036854775808"`},
		{wrapperspb.Double(math.Inf(-1)), new(wrapperspb.DoubleValue), `"-Infinity"`},
		{durationpb.New(-1500 * time.Millisecond), new(durationpb.Duration), `"-1.500s"`},
		{
			anyOf(t, anyOf(t, wrapperspb.String("x"))), new(anypb.Any),
			`{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"x"}}`,
		},
	} {
		got := marshal(t, test.msg)
		if got != test.want {
			t.Errorf("%T: got %s, want %s", test.msg, got, test.want)
		}
		for _, decode := range []func(codec.Codec, []byte, any) error{codec.Decode, codec.DecodeOwned} {
			back := proto.Clone(test.empty)
			if err := decode(Codec, []byte(got), back); err != nil || !proto.Equal(back, test.msg) {
				t.Errorf("%s becomes %v, %v", got, back, err)
			}
		}
	}
}

// TestOutlives: a message does not refer to what it was decoded from.
func TestOutlives(t *testing.T) {
	data := []byte(`{"text":"text","bytes":"aGVsbG8="}`)
	var m fieldspb.Present
	if err := codec.DecodeOwned(Codec, data, &m); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] = 'x'
	}
	if m.GetText() != "text" || string(m.GetBytes()) != "hello" {
		t.Errorf("now it is %v", &m)
	}
}

func TestCompact(t *testing.T) {
	for in, want := range map[string]string{
		`{ "a b" : [ 1, 2 ] }`:        `{"a b":[1,2]}`,
		"{\n\t\"a\": \" \\\" \"\r\n}": `{"a":" \" "}`,
		`" \\" , 1 , " "`:             `" \\",1," "`,
		``:                            ``,
	} {
		if got := string(compact([]byte("x : "+in), 4)); got != "x : "+want {
			t.Errorf("%s becomes %s", in, got)
		}
	}
}

func TestNotMessages(t *testing.T) {
	for _, no := range []any{nil, "text", new(int)} {
		if _, err := codec.Size(Codec, no); status.CodeOf(err) != status.Internal || !strings.Contains(err.Error(), "is not a protobuf message") {
			t.Errorf("size of %T: %v", no, err)
		}
		if _, err := Codec.AppendMarshal(nil, no, 0); status.CodeOf(err) != status.Internal {
			t.Errorf("bytes of %T: %v", no, err)
		}
		if err := codec.Decode(Codec, []byte(`{}`), no); err == nil {
			t.Errorf("decodes into %T", no)
		}
	}
	for what, m := range map[string]proto.Message{
		"text that is not UTF-8":      wrapperspb.String("\xff"),
		"an Any of nobody knows what": &anypb.Any{TypeUrl: "x/nobody.Knows"},
		"a missing required field":    new(fieldspb.Required),
	} {
		_, err := codec.Size(Codec, m)
		if status.CodeOf(err) != status.Internal || strings.Contains(err.Error(), "\u00a0") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestChanged: a message that is changed between its size and its bytes is not sent.
func TestChanged(t *testing.T) {
	m := wrapperspb.String("a")
	size, err := codec.Size(Codec, m)
	if err != nil {
		t.Fatal(err)
	}
	m.Value = "ab"
	if out, err := codec.Append(Codec, []byte("before"), m, size); status.CodeOf(err) != status.Internal || string(out) != "before" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestUnknown(t *testing.T) {
	strict := New(Options{RefuseUnknown: true})
	for _, in := range []string{
		`{"text":"x","new":{"deep":[1,{}]}}`,
		`{"color":"COLOR_OF_NEXT_YEAR","text":"x"}`,
	} {
		var m fieldspb.Present
		if err := codec.Decode(Codec, []byte(in), &m); err != nil || m.GetText() != "x" {
			t.Errorf("%s becomes %v, %v", in, &m, err)
		}
		if err := codec.Decode(strict, []byte(in), new(fieldspb.Present)); err == nil {
			t.Errorf("strict takes %s", in)
		}
	}
	if err := codec.Decode(strict, []byte(`{"text":"x","color":"COLOR_RED"}`), new(fieldspb.Present)); err != nil {
		t.Errorf("strict refuses what it knows: %v", err)
	}
}

// TestAnys: only so many Anys may be in one another, as each costs all that is in it.
func TestAnys(t *testing.T) {
	for _, many := range []int{maxAnys + 2, 1000} {
		if _, err := codec.Size(Codec, anys(t, many)); status.CodeOf(err) != status.Internal || !strings.Contains(err.Error(), "more than 10 Anys") {
			t.Errorf("size of %d: %v", many, err)
		}
	}
	inAnys := func(n int, typ, inside string) string {
		return strings.Repeat(`{`+typ+`:"x/google.protobuf.Any","value":`, n) + inside + strings.Repeat("}", n)
	}
	behind := func(n int, inside string) string {
		return strings.Repeat(`{"value":`, n) + inside + strings.Repeat(`,"@type":"x/google.protobuf.Any"}`, n)
	}
	for what, test := range map[string]struct {
		in   string
		fine bool
	}{
		"as many as may be":   {inAnys(maxAnys, `"@type"`, `{}`), true},
		"behind":              {behind(maxAnys, `{}`), true},
		"one too many":        {inAnys(maxAnys+1, `"@type"`, `{}`), false},
		"one too many behind": {behind(maxAnys+1, `{}`), false},
		"far too many":        {inAnys(10_000, `"@type"`, `{}`), false},
		"escaped":             {inAnys(90, `"\u0040t\u0079pe"`, `{}`), false},
		"both":                {inAnys(5, `"@type"`, behind(6, `{}`)), false},
		"side by side":        {`{"@type":"x/google.protobuf.ListValue","value":[` + strings.Repeat(`{"@type":[]},`, 50) + `{}]}`, true},
	} {
		err := codec.Decode(Codec, []byte(test.in), new(anypb.Any))
		if test.fine && err != nil || !test.fine && (err == nil || !strings.Contains(err.Error(), "in one another") && !strings.Contains(err.Error(), "deeper than 100")) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, in := range []string{`}"@type"`, `[]]"@type"`, `"@type`, `{"@type":`, `{"@type\`} {
		if err := checkAnys([]byte(in)); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// list returns a value of so many lists in one another.
func list(depth int) *structpb.Value {
	v := structpb.NewNullValue()
	for range depth {
		v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
	}
	return v
}

// chain returns so many Maps in one another, which are a message and an entry each.
func chain(depth int) *fieldspb.Present {
	m := new(fieldspb.Present)
	for range depth - 1 {
		m = &fieldspb.Present{Message: m}
	}
	return m
}

// anys returns so many Anys in one another.
func anys(t *testing.T, depth int) *anypb.Any {
	t.Helper()
	a := &anypb.Any{}
	for range depth - 1 {
		a = anyOf(t, a)
	}
	return a
}

func TestNesting(t *testing.T) {
	for what, m := range map[string]proto.Message{
		"fields": chain(codec.MaxNesting),
		"Anys":   anys(t, maxAnys+1),
		"lists":  list(codec.MaxNesting/2 - 1),
	} {
		text := marshal(t, m)
		if err := codec.Decode(Codec, []byte(text), m.ProtoReflect().New().Interface()); err != nil {
			t.Errorf("%s below the limit: %v", what, err)
		}
	}
	const many = 10_000
	for what, m := range map[string]proto.Message{
		"fields": chain(codec.MaxNesting + 1),
		"lists":  list(codec.MaxNesting),
		"a map":  &fieldspb.Known{Struct: &structpb.Struct{Fields: map[string]*structpb.Value{"x": list(codec.MaxNesting)}}},
	} {
		if _, err := codec.Size(Codec, m); status.CodeOf(err) != status.Internal || !strings.Contains(err.Error(), "deeper than 100") {
			t.Errorf("size of %s: %v", what, err)
		}
	}
	for what, in := range map[string]struct {
		open, shut string
		into       proto.Message
	}{
		"fields":         {`{"message":`, "}", new(fieldspb.Present)},
		"unknown fields": {`{"new":`, "}", new(fieldspb.Text)},
		"unknown lists":  {`[`, "]", new(fieldspb.Text)},
		"lists":          {`[`, "]", new(structpb.Value)},
		"structs":        {`{"x":`, "}", new(structpb.Struct)},
	} {
		text := strings.Repeat(in.open, many) + "{}" + strings.Repeat(in.shut, many)
		if what == "unknown lists" {
			text = `{"new":` + text + "}"
		}
		if err := codec.Decode(Codec, []byte(text), in.into); err == nil || !strings.Contains(err.Error(), "deeper than 100") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
