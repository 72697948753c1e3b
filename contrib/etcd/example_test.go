package etcd_test

import (
	"context"
	"log"
	"time"

	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/runtime/address"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func Example() {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"10.0.0.9:2379"},
		// A connection that is dead without having been closed is found out.
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	registry := etcd.New(client)

	// A server puts itself in when it listens, and takes itself out first thing
	// when it drains.
	ctx := context.Background()
	registration, err := registry.Register(ctx, "users", address.Endpoint{Network: "tcp", Addr: "10.0.0.1:7000", Zone: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer registration.Deregister(ctx)

	// Its clients find it.
	source, err := address.Builtin().With("etcd", registry).Resolve("etcd:///users")
	if err != nil {
		log.Fatal(err)
	}
	began, pool := time.Now(), address.NewPool(address.PoolConfig{})
	address.Keep(source, false).Watch(ctx, func(u address.Update) {
		pool.Update(int64(time.Since(began)), u.Endpoints)
	})
}
