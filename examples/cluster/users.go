package main

import (
	"context"
	"os"
	"sync/atomic"

	usersv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1/usersv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// users implements usersv1rpcx.UsersServer, for leaders and for replicas. Its
// methods are called concurrently.
type users struct {
	name    string
	leader  bool
	store   *store
	leaving chan struct{} // closed when the server shuts down

	reads, writes atomic.Uint64
}

var _ usersv1rpcx.UsersServer = (*users)(nil)

// Get returns a user.
func (u *users) Get(_ context.Context, req *usersv1.GetRequest) (*usersv1.GetResponse, error) {
	u.reads.Add(1)
	user := u.store.get(req.GetId())
	if user == nil {
		return nil, status.Errorf(status.NotFound, "there is no user %q", req.GetId())
	}
	return &usersv1.GetResponse{User: user, Server: u.name}, nil
}

// GetMany returns users: all those that this server was asked for, and which
// belong to it.
func (u *users) GetMany(_ context.Context, req *usersv1.GetManyRequest) (*usersv1.GetManyResponse, error) {
	u.reads.Add(1)
	res := new(usersv1.GetManyResponse)
	for _, id := range req.GetIds() {
		res.Answers = append(res.Answers, &usersv1.GetResponse{User: u.store.get(id), Server: u.name})
	}
	return res, nil
}

// Put adds a user or replaces it.
func (u *users) Put(_ context.Context, req *usersv1.PutRequest) (*usersv1.PutResponse, error) {
	if !u.leader {
		return nil, status.Errorf(status.FailedPrecondition, "%s is no leader", u.name)
	}
	u.writes.Add(1)
	version, err := u.store.put(req.GetUser())
	if err != nil {
		return nil, err
	}
	return &usersv1.PutResponse{Version: version, Server: u.name}, nil
}

// Stats says what this server is and has done.
func (u *users) Stats(context.Context, *usersv1.StatsRequest) (*usersv1.StatsResponse, error) {
	return &usersv1.StatsResponse{
		Server: u.name, Pid: uint32(os.Getpid()), Version: u.store.version(),
		Reads: u.reads.Load(), Writes: u.writes.Load(),
	}, nil
}

// Follow sends changes until the follower has had enough, or has to look for
// another leader since this one leaves.
func (u *users) Follow(ctx context.Context, req *usersv1.FollowRequest, stream rpcx.ServerStreamingServer[usersv1.FollowResponse]) error {
	sent := req.GetAfter()
	if err := stream.Send(&usersv1.FollowResponse{Head: u.store.version()}); err != nil {
		return err
	}
	for {
		changes, changed := u.store.after(sent)
		for _, change := range changes {
			if err := stream.Send(&usersv1.FollowResponse{Head: u.store.version(), Change: change}); err != nil {
				return err
			}
			sent = change.GetVersion()
		}
		select {
		case <-changed:
		case <-u.leaving:
			return status.Errorf(status.Unavailable, "%s leaves", u.name)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
