package main

import (
	"context"
	"time"

	usersv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1/usersv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// toLeader are the rules by which the replica of a shard finds its leader.
func toLeader(shard string) address.Routes {
	return address.Routes{Rules: []address.Rule{
		{
			Tags:     &address.TagRule{Tags: map[string]string{"partition": shard}, Percent: 100},
			Fallback: address.FallbackNone,
		},
		{Role: &address.RoleRule{}},
	}}
}

// follow keeps a store up to date until ctx is done. It calls caughtUp when the
// store has what the leader had when it was first asked.
func follow(ctx context.Context, conn *rpcx.Conn, s *store, caughtUp func()) {
	const pause = 50 * time.Millisecond // a leader that restarts is away for longer
	for ctx.Err() == nil {
		// An error says that the leader is gone: the next one goes on where it ended.
		_ = followOnce(ctx, usersv1rpcx.NewUsersClient(conn), s, caughtUp)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// followOnce follows a leader until the stream ends.
func followOnce(ctx context.Context, leader usersv1rpcx.UsersClient, s *store, caughtUp func()) error {
	stream, err := leader.Follow(ctx, &usersv1.FollowRequest{After: s.version()}, rpcx.WithWaitForReady(true))
	if err != nil {
		return err
	}
	defer stream.Close()
	var head uint64
	for news, err := range stream.All() {
		if err != nil {
			return err
		}
		if change := news.GetChange(); change == nil {
			head = news.GetHead()
		} else if err := s.apply(change); err != nil {
			return err
		}
		if s.version() >= head {
			caughtUp()
		}
	}
	return nil
}
