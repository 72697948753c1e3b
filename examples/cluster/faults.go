package main

import (
	"context"
	"fmt"
	"time"

	profilesv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1"
	"github.com/rpcx-go/rpcx/runtime/address"
)

// fanOut asks for all users at once.
func (p *proof) fanOut(ctx context.Context) (string, error) {
	res, err := p.client.ShowMany(ctx, &profilesv1.ShowManyRequest{Ids: p.ids})
	if err != nil {
		return "", err
	}
	if len(res.GetFound()) != len(p.ids) {
		return "", fmt.Errorf("%d users of %d: %s", len(res.GetFound()), len(p.ids), res.GetProblem())
	}
	servers := map[string]bool{}
	for i, found := range res.GetFound() {
		if found.GetUser().GetId() != p.ids[i] {
			return "", fmt.Errorf("%s stands where %s was asked for", found.GetUser().GetId(), p.ids[i])
		}
		servers[found.GetServer()] = true
	}
	if len(servers) != shards {
		return "", fmt.Errorf("%d servers answered, not %d", len(servers), shards)
	}
	return fmt.Sprintf("1 request for %d users, answered in their order by %d servers", len(p.ids), len(servers)), nil
}

// broadcast asks all servers what they have done.
func (p *proof) broadcast(ctx context.Context) (string, error) {
	if err := p.converge(ctx); err != nil {
		return "", err
	}
	s, silent, err := p.survey(ctx)
	if err != nil {
		return "", err
	}
	var reads, writes uint64
	for _, m := range p.members {
		stats := s[m.name]
		if m.role == address.RoleReplica && stats.GetWrites() > 0 {
			return "", fmt.Errorf("%s has taken writes", m.name)
		}
		reads, writes = reads+stats.GetReads(), writes+stats.GetWrites()
	}
	if len(s) != len(p.members) || silent > 0 {
		return "", fmt.Errorf("%d servers answered and %d did not", len(s), silent)
	}
	return fmt.Sprintf("%d servers say that they have seen %d reads and %d writes; replicas have what leaders have",
		len(s), reads, writes), nil
}

// rollingRestart restarts one server after the other while calls go on.
func (p *proof) rollingRestart(ctx context.Context) (string, error) {
	began := time.Now()
	l := startLoad(ctx, p.client, p.ids)
	for _, m := range p.members {
		if err := p.restart(ctx, m); err != nil {
			l.end()
			return "", err
		}
		pause(ctx, 200*time.Millisecond) // the new process has calls now
	}
	t, took := l.end(), since(began)
	if len(t.failures) > 0 {
		return "", fmt.Errorf("%d of %d calls failed, the first: %w", len(t.failures), t.calls, t.failures[0].err)
	}
	missing, err := lost(ctx, p.client, t.saved)
	if err != nil {
		return "", err
	}
	if missing > 0 {
		return "", fmt.Errorf("%d of %d users are not what they were saved as", missing, len(t.saved))
	}
	return fmt.Sprintf("%d servers in %v, %d calls, no failed one, the slowest %v; %d writes, none lost",
		len(p.members), took, t.calls, t.slowest.Round(time.Millisecond), t.saves), p.converge(ctx)
}

// killReplica kills a replica while calls go on. Those that it was working on
// fail, as nobody knows what became of them; then its leader has the reads.
func (p *proof) killReplica(ctx context.Context) (string, error) {
	l := startLoad(ctx, p.client, p.ids)
	pause(ctx, 500*time.Millisecond)
	killed := time.Now()
	p.member(2, address.RoleReplica).kill()
	pause(ctx, 2*time.Second)
	t := l.end()

	last := time.Duration(0)
	for _, f := range t.failures {
		last = max(last, f.at.Sub(killed))
	}
	if len(t.failures) > workers || last > time.Second {
		return "", fmt.Errorf("%d of %d calls failed, the last %v later: %w", len(t.failures), t.calls, last, t.failures[len(t.failures)-1].err)
	}
	for _, id := range p.ids {
		res, err := p.client.Show(ctx, &profilesv1.ShowRequest{Id: id})
		if err != nil {
			return "", err
		}
		if shard := p.shardOf[id]; shard == "users-2" && res.GetServer() != shard+"-"+address.RoleLeader {
			return "", fmt.Errorf("%s was shown by %s", id, res.GetServer())
		}
	}
	return fmt.Sprintf("%d calls, %d in flight to it failed, none later; its leader has the reads", t.calls, len(t.failures)), nil
}

// partialFailure kills the leader of that shard as well, and asks for all users.
func (p *proof) partialFailure(ctx context.Context) (string, error) {
	p.member(2, address.RoleLeader).kill()
	began := time.Now()
	res, err := p.client.ShowMany(ctx, &profilesv1.ShowManyRequest{Ids: p.ids})
	if err != nil {
		return "", err
	}
	found, missing := len(res.GetFound()), len(res.GetMissing())
	for _, id := range res.GetMissing() {
		if p.shardOf[id] != "users-2" {
			return "", fmt.Errorf("%s is missing, whose shard is there: %s", id, res.GetProblem())
		}
	}
	if found+missing != len(p.ids) || missing == 0 {
		return "", fmt.Errorf("%d found and %d missing of %d", found, missing, len(p.ids))
	}
	return fmt.Sprintf("a shard is gone: %d users of %d in %v, the other %d named: %s",
		found, len(p.ids), since(began), missing, res.GetProblem()), nil
}

// pause waits, unless ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
