package etcd_test

import (
	"log"
	"time"

	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
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
	srv := rpcx.NewServer(rpcx.WithRegistration(registry, "users", address.Endpoint{Zone: "a"}))
	defer srv.Close()

	// Its clients find it.
	conn, err := rpcx.Dial("etcd:///users", rpcx.WithResolver("etcd", registry))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
}
