package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	profilesv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1/profilesv1rpcx"
	usersv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1"
	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// member is a server of users.
type member struct {
	shard int
	role  string
	zone  string
	*process
}

// cluster is all servers, and a client of the interface server.
type cluster struct {
	dir     string
	etcd    *process
	front   *process
	members []*member // by shard, the leader first
	conn    *rpcx.Conn
	client  profilesv1rpcx.ProfilesClient
}

// startCluster starts all servers and waits until the interface server has found
// them. The cluster has to be stopped in any case.
func startCluster(ctx context.Context) (c *cluster, err error) {
	c = new(cluster)
	if c.dir, err = os.MkdirTemp("", "cluster-"); err != nil {
		return c, err
	}
	if c.etcd, err = startProcess("etcd", "etcd", "-dir", c.dir); err != nil {
		return c, err
	}
	for shard := range shards {
		c.members = append(c.members,
			&member{shard: shard, role: address.RoleLeader, zone: "a"},
			&member{shard: shard, role: address.RoleReplica, zone: "b"})
	}
	// They may start in any order: replicas wait for their leaders, and the
	// interface server learns of all.
	errs := make([]error, len(c.members)+1)
	var all sync.WaitGroup
	for i, m := range c.members {
		all.Go(func() { errs[i] = c.start(m) })
	}
	all.Go(func() {
		c.front, errs[len(c.members)] = startProcess("front", "front", "-etcd", c.etcd.addr, "-zone", "b")
	})
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	if c.conn, err = rpcx.Dial(c.front.addr); err != nil {
		return c, err
	}
	c.client = profilesv1rpcx.NewProfilesClient(c.conn)
	return c, c.awaitFound(ctx, c.members...)
}

// start starts the process of a server of users.
func (c *cluster) start(m *member) (err error) {
	shard := strconv.Itoa(m.shard)
	m.process, err = startProcess("users-"+shard+"-"+m.role,
		"users", "-etcd", c.etcd.addr, "-shard", shard, "-role", m.role, "-zone", m.zone, "-dir", c.dir)
	return err
}

// restart ends a server in peace, starts it anew and waits until it has been found.
func (c *cluster) restart(ctx context.Context, m *member) error {
	if err := m.stop(); err != nil {
		return err
	}
	if err := c.start(m); err != nil {
		return err
	}
	return c.awaitFound(ctx, m)
}

// stop stops all servers, those first that need others.
func (c *cluster) stop() error {
	var errs []error
	end := func(p *process) {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	if c.conn != nil {
		errs = append(errs, c.conn.Close())
	}
	end(c.front)
	for _, m := range c.members {
		end(m.process)
	}
	end(c.etcd)
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// member returns the server of a shard that has a role.
func (c *cluster) member(shard int, role string) *member {
	if role == address.RoleLeader {
		return c.members[2*shard]
	}
	return c.members[2*shard+1]
}

// awaitFound waits until the interface server has found these processes of servers.
func (c *cluster) awaitFound(ctx context.Context, members ...*member) error {
	return c.await(ctx, "etcd has not brought all servers together", func(s survey) bool {
		for _, m := range members {
			if s[m.name].GetPid() != uint32(m.cmd.Process.Pid) {
				return false
			}
		}
		return true
	})
}

// survey is what servers say of themselves, by their names.
type survey map[string]*usersv1.StatsResponse

// survey asks all servers of users, through the interface server.
func (c *cluster) survey(ctx context.Context) (s survey, silent int, err error) {
	res, err := c.client.Survey(ctx, &profilesv1.SurveyRequest{}, rpcx.WithTimeout(patience))
	if err != nil {
		return nil, 0, err
	}
	s = survey{}
	for _, server := range res.GetServers() {
		s[server.GetServer()] = server
	}
	return s, len(res.GetSilent()), nil
}

// await asks the servers until what they say is as it should be.
func (c *cluster) await(ctx context.Context, failure string, is func(survey) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s, _, err := c.survey(ctx)
		if err == nil && is(s) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: %v", failure, s), err)
		}
	}
}
