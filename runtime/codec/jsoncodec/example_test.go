package jsoncodec_test

import (
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/users"
)

// Errors name the place and the field there.
func ExampleNew() {
	strict := jsoncodec.New(jsoncodec.Options{RefuseUnknown: true})
	text := []byte("{\n  \"user\": {\"id\": 7, \"nick\": \"Ann\"}\n}")
	var change usersv1.Change
	fmt.Println(codec.Decode(strict, text, &change))
	fmt.Println(codec.Decode(jsoncodec.Codec, text, &change), change.GetUser().GetId())
	// Output:
	// JSON of golden.users.v1.Change, line 2, column 21, field user.nick: unknown field "nick"
	// <nil> 7
}
