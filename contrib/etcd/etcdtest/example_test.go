package etcdtest_test

import (
	"context"
	"fmt"
	"os"

	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/contrib/etcd/etcdtest"
	"github.com/rpcx-go/rpcx/runtime/address"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// run is the example, which returns at the first error.
func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := etcdtest.Start(ctx, etcdtest.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer server.Close()

	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		return err
	}
	defer client.Close()
	registry := etcd.New(client)

	// A server, when it listens:
	self := address.Endpoint{Network: "tcp", Addr: "10.0.0.1:7000", Zone: "a"}
	registration, err := registry.Register(ctx, "users", self)
	if err != nil {
		return err
	}

	// Its clients:
	source, err := address.Builtin().With("etcd", registry).Resolve("etcd:///users")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	source.Watch(ctx, func(u address.Update) {
		fmt.Println(u.Endpoints, u.Err)
		if len(u.Endpoints) == 0 {
			cancel()
			return
		}
		// The server, first thing when it drains:
		if err := registration.Deregister(ctx); err != nil {
			fmt.Println(err)
		}
	})
	return nil
}

func ExampleStart() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [tcp://10.0.0.1:7000] <nil>
	// [] <nil>
}
