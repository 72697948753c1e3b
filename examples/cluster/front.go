package main

import (
	"context"
	"errors"
	"time"

	profilesv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1/profilesv1rpcx"
	usersv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1/usersv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/fanout"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// latest is the metadata key of reads that have to see the last write.
const latest = "latest"

// dialUsers returns a Conn to all servers of the users. Where a call goes is
// decided by these rules; the code that makes it does not know.
func dialUsers(registry address.Resolver, zone string) (*rpcx.Conn, error) {
	return rpcx.Dial("etcd:///users",
		rpcx.WithResolver("etcd", registry),
		rpcx.WithRoutes(address.Routes{
			Local: address.Location{Zone: zone},
			Rules: []address.Rule{
				// First to the shard that has the key,
				{Partition: &address.PartitionRule{Count: shards}},
				// there to a replica if the method only reads, and else to the leader,
				{Role: &address.RoleRule{LeaderKey: latest}},
				// and if that leaves several, to one that is near.
				{Zone: &address.ZoneRule{}},
			},
		}),
		// While a shard has no leader, since it restarts, writes wait for it.
		rpcx.WithDefaultCallOptions(rpcx.WithWaitForReady(true)),
	)
}

// profiles implements profilesv1rpcx.ProfilesServer. Its methods are called
// concurrently.
type profiles struct {
	conn    *rpcx.Conn
	users   usersv1rpcx.UsersClient
	sharded usersv1rpcx.UsersSharded
}

var _ profilesv1rpcx.ProfilesServer = (*profiles)(nil)

func newProfiles(conn *rpcx.Conn) *profiles {
	return &profiles{conn, usersv1rpcx.NewUsersClient(conn), usersv1rpcx.NewUsersSharded(conn)}
}

// Show returns a user.
func (p *profiles) Show(ctx context.Context, req *profilesv1.ShowRequest) (*profilesv1.ShowResponse, error) {
	var opts []rpcx.CallOption
	if req.GetLatest() {
		opts = append(opts, rpcx.WithMetadata(metadata.Pairs(latest, "1")))
	}
	res, err := p.users.Get(ctx, &usersv1.GetRequest{Id: req.GetId()}, opts...)
	if err != nil {
		return nil, err
	}
	return &profilesv1.ShowResponse{User: res.GetUser(), Server: res.GetServer()}, nil
}

// Save adds a user or replaces it.
func (p *profiles) Save(ctx context.Context, req *profilesv1.SaveRequest) (*profilesv1.SaveResponse, error) {
	res, err := p.users.Put(ctx, &usersv1.PutRequest{User: req.GetUser()})
	if err != nil {
		return nil, err
	}
	return &profilesv1.SaveResponse{Version: res.GetVersion(), Server: res.GetServer()}, nil
}

// ShowMany asks all shards at once. Those that do not answer in time do not keep
// it from showing the users of the others.
func (p *profiles) ShowMany(ctx context.Context, req *profilesv1.ShowManyRequest) (*profilesv1.ShowManyResponse, error) {
	answer, err := p.sharded.GetMany(ctx, &usersv1.GetManyRequest{Ids: req.GetIds()},
		fanout.WithPartialResults(),
		fanout.WithTimeout(2*time.Second),
		fanout.WithCallOptions(rpcx.WithWaitForReady(false)),
	)
	res := new(profilesv1.ShowManyResponse)
	if failed, ok := errors.AsType[*fanout.Error](err); ok {
		res.Problem = failed.Error()
		for _, part := range failed.Parts {
			for _, i := range part.Elements {
				res.Missing = append(res.Missing, req.GetIds()[i])
			}
		}
	} else if err != nil {
		return nil, err
	}
	for _, a := range answer.GetAnswers() {
		if a.GetUser() != nil {
			res.Found = append(res.Found, &profilesv1.ShowResponse{User: a.GetUser(), Server: a.GetServer()})
		}
	}
	return res, nil
}

// Survey asks every server.
func (p *profiles) Survey(ctx context.Context, _ *profilesv1.SurveyRequest) (*profilesv1.SurveyResponse, error) {
	answers, err := fanout.Each(ctx, p.conn, func(ctx context.Context, server *rpcx.Instance) (*usersv1.StatsResponse, error) {
		return usersv1rpcx.NewUsersClient(server).Stats(ctx, &usersv1.StatsRequest{}, rpcx.WithWaitForReady(false))
	}, fanout.WithTimeout(2*time.Second))
	if answers == nil {
		return nil, err
	}
	res := new(profilesv1.SurveyResponse)
	for _, a := range answers {
		if a.Err != nil {
			res.Silent = append(res.Silent, a.Endpoint.Addr)
			continue
		}
		res.Servers = append(res.Servers, a.Value)
	}
	return res, nil
}
