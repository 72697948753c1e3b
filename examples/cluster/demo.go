package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	profilesv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1"
	usersv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1"
	"github.com/rpcx-go/rpcx/runtime/address"
)

// population is how many users there are.
const population = 300

// proof is a running cluster, and what has been seen of it.
type proof struct {
	*cluster
	ids     []string
	shardOf map[string]string // of users: "users-1"
}

// demo starts a cluster, proves what it promises, and stops it.
func demo(ctx context.Context, w io.Writer) error {
	began := time.Now()
	c, err := startCluster(ctx)
	p := &proof{cluster: c, shardOf: map[string]string{}}
	say := func(name, line string) { fmt.Fprintf(w, "cluster: %s: %s\n", name, line) }
	if err == nil {
		say("up", fmt.Sprintf("etcd, the interface server and %d servers of users, found by etcd in %v",
			len(c.members), since(began)))
		err = p.all(ctx, say)
	}
	if err := errors.Join(err, c.stop()); err != nil {
		return err
	}
	fmt.Fprintln(w, "demo-cluster: ok")
	return nil
}

// all proves one thing after the other.
func (p *proof) all(ctx context.Context, say func(name, line string)) error {
	for i := range population {
		p.ids = append(p.ids, fmt.Sprintf("u%03d", i))
	}
	for _, step := range []struct {
		name  string
		prove func(context.Context) (string, error)
	}{
		{"writes", p.writes},
		{"route key", p.routeKey},
		{"read your writes", p.readYourWrites},
		{"fan-out", p.fanOut},
		{"broadcast", p.broadcast},
		{"rolling restart", p.rollingRestart},
		{"kill -9 of a replica", p.killReplica},
		{"partial failure", p.partialFailure},
	} {
		line, err := step.prove(ctx)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		say(step.name, line)
	}
	return nil
}

// writes saves all users: only leaders take them.
func (p *proof) writes(ctx context.Context) (string, error) {
	for _, id := range p.ids {
		res, err := p.client.Save(ctx, &profilesv1.SaveRequest{User: &usersv1.User{Id: id, Name: "user " + id}})
		if err != nil {
			return "", err
		}
		shard, isLeader := strings.CutSuffix(res.GetServer(), "-"+address.RoleLeader)
		if !isLeader {
			return "", fmt.Errorf("%s took a write", res.GetServer())
		}
		p.shardOf[id] = shard
	}
	count := map[string]int{}
	for _, shard := range p.shardOf {
		count[shard]++
	}
	if len(count) != shards {
		return "", fmt.Errorf("users are on %d shards of %d: %v", len(count), shards, count)
	}
	return fmt.Sprintf("%d users saved, each by the leader of its shard (%d + %d + %d)",
		len(p.ids), count["users-0"], count["users-1"], count["users-2"]), p.converge(ctx)
}

// converge waits until replicas have what their leaders have.
func (p *proof) converge(ctx context.Context) error {
	return p.await(ctx, "replicas lag behind", func(s survey) bool {
		for shard := range shards {
			leader, replica := p.member(shard, address.RoleLeader), p.member(shard, address.RoleReplica)
			if s[leader.name].GetVersion() != s[replica.name].GetVersion() {
				return false
			}
		}
		return true
	})
}

// routeKey shows all users several times: always by the replica of their shard.
func (p *proof) routeKey(ctx context.Context) (string, error) {
	calls := 0
	for range 5 {
		for _, id := range p.ids {
			res, err := p.client.Show(ctx, &profilesv1.ShowRequest{Id: id})
			if err != nil {
				return "", err
			}
			if want := p.shardOf[id] + "-" + address.RoleReplica; res.GetServer() != want {
				return "", fmt.Errorf("%s was shown by %s, not by %s", id, res.GetServer(), want)
			}
			calls++
		}
	}
	return fmt.Sprintf("%d reads, each user on 1 shard of %d, all by its replica", calls, shards), nil
}

// readYourWrites shows users right after they have been saved. Replicas may not
// have heard of it; those who have to see it say so, and are sent to the leader.
func (p *proof) readYourWrites(ctx context.Context) (string, error) {
	stale := 0
	for i, id := range p.ids {
		name := fmt.Sprintf("user %s, again", id)
		if _, err := p.client.Save(ctx, &profilesv1.SaveRequest{User: &usersv1.User{Id: id, Name: name}}); err != nil {
			return "", err
		}
		soon, err := p.client.Show(ctx, &profilesv1.ShowRequest{Id: id})
		if err != nil {
			return "", err
		}
		if soon.GetUser().GetName() != name {
			stale++
		}
		sure, err := p.client.Show(ctx, &profilesv1.ShowRequest{Id: id, Latest: true})
		if err != nil {
			return "", err
		}
		if sure.GetUser().GetName() != name || sure.GetServer() != p.shardOf[id]+"-"+address.RoleLeader {
			return "", fmt.Errorf("write %d was not seen: %v", i, sure)
		}
	}
	return fmt.Sprintf("%d of %d by the leader, where the metadata say so; by replicas %d",
		len(p.ids), len(p.ids), len(p.ids)-stale), nil
}

// since returns how long ago a time was, to be read.
func since(t time.Time) time.Duration { return time.Since(t).Round(10 * time.Millisecond) }
