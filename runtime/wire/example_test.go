package wire_test

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/wire"
	"github.com/rpcx-go/rpcx/testdata/gen/fields"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/users"
)

// Glue gives messages methods of their own.
func Example() {
	data, err := (&usersv1.User{Id: 7, Name: "Ada"}).AppendRPCX(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%x\n", data)

	user := new(usersv1.User)
	if err := user.UnmarshalRPCX(data); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user.GetId(), user.GetName())
	// Output:
	// 08071203416461
	// 7 Ada
}

// The bytes of several messages, one behind the other, in a buffer that is
// used again and again.
func ExampleMarshalOptions_Append() {
	buf := make([]byte, 0, 64)
	for _, name := range []string{"Ada", "Alan"} {
		var err error
		buf, err = wire.MarshalOptions{}.Append(buf, &usersv1.User{Name: name})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%q\n", buf)
	// Output: "\x12\x03Ada\x12\x04Alan"
}

// A map has no order of its own. For a hash or a signature, it needs one.
func ExampleMarshalOptions_deterministic() {
	m := &fields.Maps{Text: map[int32]string{3: "c", 1: "a", 2: "b"}}
	data, err := wire.MarshalOptions{Deterministic: true}.Append(nil, m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", data)
	// Output: "\n\x05\b\x01\x12\x01a\n\x05\b\x02\x12\x01b\n\x05\b\x03\x12\x01c"
}

// A message that is stored unfinished lacks required fields.
func ExampleMarshalOptions_allowPartial() {
	m := &fields.Required{Id: proto.Int32(7)}
	_, err := wire.MarshalOptions{}.Append(nil, m)
	fmt.Println("complete:", err == nil)
	data, err := wire.MarshalOptions{AllowPartial: true}.Append(nil, m)
	fmt.Printf("partial: %x %v\n", data, err)
	// Output:
	// complete: false
	// partial: 0807 <nil>
}

// With Alias, strings refer to the input, which costs no copy as long as nobody
// changes it.
func ExampleUnmarshalOptions_alias() {
	data := []byte("\x08\x07\x12\x03Ada") // now the message's
	user := new(usersv1.User)
	if err := (wire.UnmarshalOptions{Alias: true}).Unmarshal(data, user); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user.GetName())
	// Output: Ada
}

// With Merge, what the message holds stays, unless the input has it too.
func ExampleUnmarshalOptions_merge() {
	user := &usersv1.User{Id: 7, Name: "Ada"}
	if err := (wire.UnmarshalOptions{Merge: true}).Unmarshal([]byte("\x12\x04Alan"), user); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user.GetId(), user.GetName())
	// Output: 7 Alan
}
