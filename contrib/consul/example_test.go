package consul_test

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/contrib/consul"
	"github.com/rpcx-go/rpcx/runtime/address"
)

func ExampleNew() {
	registry, err := consul.New(&api.Config{Address: "127.0.0.1:8500"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registry.Close(context.Background())
	schemes := address.Builtin().With("consul", registry)

	_, err = schemes.Resolve("consul:///users?tag=disk%3Dssd&health=warning")
	fmt.Println(err)
	_, err = schemes.Resolve("consul:///users?health=good")
	fmt.Println(err)
	// Output:
	// <nil>
	// target "consul:///users?health=good": parameter "health": want passing, warning or any, not "good"
}

// A server registers when it listens, and deregisters first thing when it drains.
func ExampleRegistry_Register() {
	ctx := context.Background()
	registry, err := consul.New(api.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	registration, err := registry.Register(ctx, "users", address.Endpoint{
		Network: "tcp", Addr: "10.0.0.1:7000", Weight: 3, Zone: "a", Tags: map[string]string{"disk": "ssd"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The server serves.
	if err := registration.Deregister(ctx); err != nil {
		fmt.Println(err)
	}
}
