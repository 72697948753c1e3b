package jsoncodec

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/codec"
	fieldspb "github.com/rpcx-go/rpcx/testdata/gen/fields"
)

// TestErrors: an error names the place and the field there, in words that no
// other program words differently.
func TestErrors(t *testing.T) {
	strict := New(Options{RefuseUnknown: true})
	for _, test := range []struct {
		into     proto.Message
		in, want string
	}{
		{new(fieldspb.Present), ``, `JSON of golden.fields.Present is empty: a message without fields is {}`},
		{new(fieldspb.Present), " \n", `JSON of golden.fields.Present is empty: a message without fields is {}`},
		{new(fieldspb.Present), `{"int32":"x"}`, `JSON of golden.fields.Present, line 1, column 10, field int32: invalid value for int32 field int32: "x"`},
		{
			new(fieldspb.Present), "{\n  \"text\": \"é\", \"message\": {\n\t\"int32\": 1,\n\t\"bool\": 7}}",
			`JSON of golden.fields.Present, line 4, column 10, field message.bool: invalid value for bool field bool: 7`,
		},
		{
			new(fieldspb.Lists), `{"message":[{"text":"a, \"[{"},{"text":["b"]}]}`,
			`JSON of golden.fields.Lists, line 1, column 40, field message[1].text: invalid value for string field text: [`,
		},
		{new(fieldspb.Maps), `{"float":{"1":1,"two":2}}`, `JSON of golden.fields.Maps, line 1, column 17, field float.two: invalid value for fixed32 key: "two"`},
		{new(fieldspb.Text), `{"é":1}`, `JSON of golden.fields.Text, line 1, column 2, field é: unknown field "é"`},
		{new(fieldspb.Text), `{"text":"é","te`, `JSON of golden.fields.Text, line 1, column 16, field te: it ends too early`},
		{new(fieldspb.Text), "{\n\"text\":", `JSON of golden.fields.Text, line 2, column 8, field text: it ends too early`},
		{new(fieldspb.Text), `{"text":"x"} {}`, `JSON of golden.fields.Text, line 1, column 14: unexpected token {`},
		{new(fieldspb.Text), `[1]`, `JSON of golden.fields.Text, line 1, column 1: unexpected token [`},
		{new(fieldspb.Known), `{"any":{"@type":"x/nobody.Knows"}}`, `JSON of golden.fields.Known, line 1, column 17, field any.@type: unable to resolve "x/nobody.Knows": "not found"`},
		{new(fieldspb.Required), `{}`, `required field golden.fields.Required`},
	} {
		err := codec.Decode(strict, []byte(test.in), test.into)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) && !strings.HasSuffix(err.Error(), " not set") {
			t.Errorf("%s\n got %v\nwant %s", test.in, err, test.want)
			continue
		}
		if strings.Contains(err.Error(), "\u00a0") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q", test.in, err)
		}
	}
}

// TestClean: which space protobuf-go's errors have in them depends on the program.
func TestClean(t *testing.T) {
	const want = `syntax error (line 1:2): proto: x: "proto: y"`
	for _, in := range []string{
		"proto: syntax error (line 1:2): proto: x: \"proto: y\"",
		"proto:\u00a0syntax error (line 1:2): proto:\u00a0x: \"proto:\\u00a0y\"",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

// TestErrorsAreShort: however long the input, what an error repeats of it is bounded.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	for _, in := range []string{
		`{"int32":"` + long + `"}`,
		`{"message":{"text":"","` + long + `":1}}`,
		`{"new":{"` + long + `":{"` + long + `":{"` + long + `":[}`,
		`{"new":{"` + long,
		strings.Repeat("[", 1<<20),
		strings.Repeat("\n", 1<<20) + "}",
	} {
		err := codec.Decode(New(Options{RefuseUnknown: true}), []byte(in), new(fieldspb.Present))
		if err == nil || len(err.Error()) > 2*maxReason+maxPath {
			t.Errorf("%.40s: %.1000v", in, err)
		}
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		`^`:                      "",
		`{^`:                     "",
		`{"a":^1`:                "a",
		`{"a":{"b":[0,{"c":^`:    "a.b[1].c",
		`{"a":{"b":[0,{}],"c":^`: "a.c",
		`{"a":[[],[1,[2,^`:       "a[1][1][1]",
		`{"a":"}]","b\"c":[^`:    `b\"c[0]`,
		`{"a":1,^"b":2}`:         "b",
		`}]}^`:                   "",
		`{"a":"unfinished^`:      "a",
		`{"a":"\^`:               "a",
	} {
		at := strings.Index(in, "^")
		if got := path([]byte(in[:at]+in[at+1:]), at); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}
