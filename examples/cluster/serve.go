package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/contrib/etcd/etcdtest"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1/profilesv1rpcx"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1/usersv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// shards is how many parts the users are divided into.
const shards = 3

// config says what a server is.
type config struct {
	etcd  string // where etcd is
	shard int
	role  string // address.RoleLeader or RoleReplica
	zone  string
	dir   string // of what has to outlive the process
}

// ready stands before the address in the line that each server writes.
const ready = "serving on "

// serveEtcd runs an etcd server until ctx ends. Yours is a cluster of its own.
func serveEtcd(ctx context.Context, cfg config, w io.Writer) error {
	server, err := etcdtest.Start(ctx, etcdtest.Config{Dir: filepath.Join(cfg.dir, "etcd")})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintln(w, ready+server.Endpoint())
	<-ctx.Done()
	return nil
}

// serveUsers runs a server of one shard until ctx ends.
func serveUsers(ctx context.Context, cfg config, w io.Writer) error {
	registry, closeRegistry, err := openRegistry(cfg.etcd)
	if err != nil {
		return err
	}
	defer closeRegistry()

	shard := strconv.Itoa(cfg.shard)
	u := &users{
		name:    "users-" + shard + "-" + cfg.role,
		leader:  cfg.role == address.RoleLeader,
		leaving: make(chan struct{}),
	}
	if u.leader {
		u.store, err = openStore(filepath.Join(cfg.dir, u.name+".log"))
		if err != nil {
			return err
		}
	} else {
		u.store = newStore()
		stop, err := keepFollowing(ctx, registry, shard, u.store)
		if err != nil {
			return err
		}
		defer stop()
	}

	// Where the server listens is found out when it does.
	srv := rpcx.NewServer(rpcx.WithRegistration(registry, "users", address.Endpoint{
		Role: cfg.role,
		Zone: cfg.zone,
		Tags: map[string]string{"partition": shard},
	}))
	usersv1rpcx.RegisterUsersServer(srv, u)
	srv.OnShutdown(func() { close(u.leaving) })
	return serve(ctx, srv, w)
}

// keepFollowing has a store follow the leader of a shard, and waits until it has
// caught up. stop ends that.
func keepFollowing(ctx context.Context, registry *etcd.Registry, shard string, s *store) (stop func(), err error) {
	conn, err := rpcx.Dial("etcd:///users", rpcx.WithResolver("etcd", registry), rpcx.WithRoutes(toLeader(shard)))
	if err != nil {
		return nil, err
	}
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	stop = func() {
		cancel()
		running.Wait()
		conn.Close()
	}
	caughtUp := make(chan struct{})
	running.Go(func() { follow(following, conn, s, sync.OnceFunc(func() { close(caughtUp) })) })
	select {
	case <-caughtUp:
		return stop, nil
	case <-ctx.Done():
		stop()
		return nil, ctx.Err()
	}
}

// serveFront runs the server that the outside calls until ctx ends.
func serveFront(ctx context.Context, cfg config, w io.Writer) error {
	registry, closeRegistry, err := openRegistry(cfg.etcd)
	if err != nil {
		return err
	}
	defer closeRegistry()
	conn, err := dialUsers(registry, cfg.zone)
	if err != nil {
		return err
	}
	defer conn.Close()

	srv := rpcx.NewServer()
	profilesv1rpcx.RegisterProfilesServer(srv, newProfiles(conn))
	return serve(ctx, srv, w)
}

// openRegistry returns where servers register and are found, and what closes it.
func openRegistry(endpoint string) (*etcd.Registry, func(), error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	if err != nil {
		return nil, nil, err
	}
	return etcd.New(client), func() { client.Close() }, nil
}

// serve serves on a free port until ctx ends, and then leaves the registry and
// lets running calls finish.
func serve(ctx context.Context, srv *rpcx.Server, w io.Writer) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(w, ready+lis.Addr().String())
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(patience)
	})
	if err := srv.Serve(lis); !errors.Is(err, rpcx.ErrServerClosed) {
		return err
	}
	return <-stopped
}
