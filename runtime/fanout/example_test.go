package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/fanout"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/shard/users"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/users/usersv1rpcx"
)

// server answers for all users but those that do not exist, and notes for whom.
type server struct {
	usersv1rpcx.UnimplementedUsersServer
	addr string

	mu  sync.Mutex
	ids []int64
}

func (s *server) Get(_ context.Context, req *usersv1.GetManyRequest) (*usersv1.User, error) {
	return &usersv1.User{Name: "from " + s.addr}, nil
}

func (s *server) GetMany(_ context.Context, req *usersv1.GetManyRequest) (*usersv1.GetManyResponse, error) {
	res := new(usersv1.GetManyResponse)
	for _, id := range req.GetIds() {
		if id < 0 {
			return nil, status.Errorf(status.NotFound, "user %d does not exist", id)
		}
		res.Users = append(res.Users, &usersv1.User{Id: id, Name: fmt.Sprint("user ", id)})
	}
	s.mu.Lock()
	s.ids = append(s.ids, req.GetIds()...)
	s.mu.Unlock()
	return res, nil
}

// dial serves users on three servers in memory and returns a connection to them.
func dial() (conn *rpcx.Conn, servers []*server, stop func()) {
	networks := make(map[string]*rpcxtest.Network)
	var stops []func()
	for _, addr := range []string{"a:7000", "b:7000", "c:7000"} {
		impl, srv, network := &server{addr: addr}, rpcx.NewServer(), rpcxtest.NewNetwork()
		usersv1rpcx.RegisterUsersServer(srv, impl)
		l, done := network.Listener(), make(chan struct{})
		go func() {
			defer close(done)
			srv.Serve(l)
		}()
		servers, networks[addr] = append(servers, impl), network
		stops = append(stops, func() { srv.Close(); <-done })
	}
	conn, err := rpcx.Dial("static:///a:7000,b:7000,c:7000", rpcx.WithDialer(
		func(ctx context.Context, network, addr string) (net.Conn, error) {
			return networks[addr].Dial(ctx, network, addr)
		}))
	if err != nil {
		log.Fatal(err)
	}
	return conn, servers, func() {
		conn.Close()
		for _, stop := range stops {
			stop()
		}
	}
}

// The elements of the request are split over the servers that they belong to, and
// the answers come in the order of the request.
func ExampleShard_generated() {
	conn, servers, stop := dial()
	defer stop()

	sharded := usersv1rpcx.NewUsersSharded(conn)
	res, err := sharded.GetMany(context.Background(), &usersv1.GetManyRequest{Ids: []int64{5, 1, 4, 2, 3, 6}})
	if err != nil {
		log.Fatal(err)
	}
	for _, user := range res.GetUsers() {
		fmt.Println(user.GetName())
	}
	asked := 0
	for _, s := range servers {
		asked += len(s.ids)
	}
	fmt.Println("asked for", asked, "users in all")
	// Output:
	// user 5
	// user 1
	// user 4
	// user 2
	// user 3
	// user 6
	// asked for 6 users in all
}

// With partial results, what failed is left out, and the error says what it was.
func ExampleWithPartialResults() {
	conn, _, stop := dial()
	defer stop()

	sharded := usersv1rpcx.NewUsersSharded(conn)
	req := &usersv1.GetManyRequest{Ids: []int64{1, -1, 2}}
	res, err := sharded.GetMany(context.Background(), req, fanout.WithPartialResults())
	if failed, ok := errors.AsType[*fanout.Error](err); ok {
		for _, part := range failed.Parts {
			for _, i := range part.Elements {
				fmt.Println("no answer for user", req.GetIds()[i])
			}
		}
	}
	fmt.Println(status.CodeOf(err), len(res.GetUsers()))
	// Output:
	// no answer for user -1
	// NOT_FOUND 3
}

// Each asks every server of a Conn.
func ExampleEach() {
	conn, _, stop := dial()
	defer stop()

	answers, err := fanout.Each(context.Background(), conn, func(ctx context.Context, server *rpcx.Instance) (*usersv1.User, error) {
		return usersv1rpcx.NewUsersClient(server).Get(ctx, &usersv1.GetManyRequest{})
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range answers {
		fmt.Println(a.Endpoint, a.Value.GetName())
	}
	// Output:
	// tcp://a:7000 from a:7000
	// tcp://b:7000 from b:7000
	// tcp://c:7000 from c:7000
}

// Quorum takes the answers of two servers of three, whichever come first.
func ExampleQuorum() {
	conn, _, stop := dial()
	defer stop()

	ctx := context.Background()
	servers, err := conn.Instances(ctx)
	if err != nil {
		log.Fatal(err)
	}
	users, err := fanout.Quorum(ctx, 2, servers, func(ctx context.Context, server *rpcx.Instance) (*usersv1.User, error) {
		if server.Endpoint().Addr == "b:7000" {
			return nil, status.New(status.Unavailable, "b is away")
		}
		return usersv1rpcx.NewUsersClient(server).Get(ctx, &usersv1.GetManyRequest{})
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, user := range users {
		fmt.Println(user.GetName())
	}
	// Output:
	// from a:7000
	// from c:7000
}

// First tries servers one after the other if it may run one part at a time.
func ExampleFirst() {
	user, err := fanout.First(context.Background(), []string{"cache", "store"},
		func(_ context.Context, from string) (string, error) {
			if from == "cache" {
				return "", status.New(status.NotFound, "not cached")
			}
			return "Ann, from the " + from, nil
		}, fanout.WithLimit(1))
	fmt.Println(user, err)
	// Output: Ann, from the store <nil>
}

// The first failure cancels the others, and ends the whole.
func ExampleAll() {
	_, err := fanout.All(context.Background(), []int{1, 2, 3},
		func(ctx context.Context, n int) (int, error) {
			if n == 2 {
				return 0, status.New(status.NotFound, "there is no 2")
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}, fanout.WithNames(func(i int) string { return fmt.Sprint("shelf ", i) }))
	fmt.Println(err)
	// Output: NOT_FOUND: 1 of 3 parts failed: shelf 1: NOT_FOUND: there is no 2
}

// Do is for calls that have nothing in common but their deadline.
func ExampleDo() {
	var user, order string
	err := fanout.Do(context.Background(),
		func(context.Context) error { user = "Ann"; return nil },
		func(context.Context) error { order = "tea"; return nil },
	)
	fmt.Println(user, order, err)
	// Output: Ann tea <nil>
}
