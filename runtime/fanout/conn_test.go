package fanout_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/fanout"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/shard/users"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/users/usersv1rpcx"
)

// TestShardsOfConn checks that each element reaches the server that a call with its
// key goes to.
func TestShardsOfConn(t *testing.T) {
	conn, servers, stop := dial()
	defer stop()
	client := usersv1rpcx.NewUsersClient(conn)
	want := make(map[string][]int64)
	var ids []int64
	for id := range int64(60) {
		user, err := client.Get(t.Context(), &usersv1.GetManyRequest{}, rpcx.WithRouteKey(rpcx.IntKey(id)))
		if err != nil {
			t.Fatal(err)
		}
		want[user.GetName()] = append(want[user.GetName()], id)
		ids = append(ids, id)
	}
	if len(want) != 3 {
		t.Fatalf("%d servers got calls, want all 3", len(want))
	}
	res, err := usersv1rpcx.NewUsersSharded(conn).GetMany(t.Context(), &usersv1.GetManyRequest{Ids: ids})
	if err != nil {
		t.Fatal(err)
	}
	for i, user := range res.GetUsers() {
		if user.GetId() != ids[i] {
			t.Errorf("answer %d is user %d, want %d", i, user.GetId(), ids[i])
		}
	}
	for _, s := range servers {
		if name := "from " + s.addr; !slices.Equal(want[name], s.ids) {
			t.Errorf("%s was asked for %d, want %d", s.addr, s.ids, want[name])
		}
	}
}

// TestKeyRequiredOfConn checks that a method whose elements are keys cannot be called
// as a whole without one.
func TestKeyRequiredOfConn(t *testing.T) {
	conn, _, stop := dial()
	defer stop()
	client := usersv1rpcx.NewUsersClient(conn)
	req := &usersv1.GetManyRequest{Ids: []int64{1, 2}}
	if _, err := client.GetMany(t.Context(), req); status.CodeOf(err) != status.InvalidArgument {
		t.Errorf("without a key: %v, want INVALID_ARGUMENT", err)
	}
	if _, err := client.GetMany(t.Context(), req, rpcx.WithRouteKey(rpcx.IntKey(1))); err != nil {
		t.Errorf("with a key: %v", err)
	}
}

// In tests, anything that answers calls stands in for the servers.
func ExampleUnsharded() {
	local := rpcxtest.Local(func(r rpcx.Registrar) {
		usersv1rpcx.RegisterUsersServer(r, &server{})
	})
	sharded := usersv1rpcx.NewUsersSharded(fanout.Unsharded(local))
	res, err := sharded.GetMany(context.Background(), &usersv1.GetManyRequest{Ids: []int64{2, 1}})
	fmt.Println(len(res.GetUsers()), err)
	// Output: 2 <nil>
}
