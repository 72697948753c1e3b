package reflection_test

import (
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/reflection"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcx"
)

// The order of registration does not matter.
func ExampleRegister() {
	srv := rpcx.NewServer()
	reflection.Register(srv)
	usersv1rpcx.RegisterUsersServer(srv, usersv1rpcx.UnimplementedUsersServer{})
	for _, service := range srv.Services() {
		fmt.Println(service)
	}
	// Output:
	// golden.users.v1.Users
	// grpc.reflection.v1.ServerReflection
	// grpc.reflection.v1alpha.ServerReflection
}
