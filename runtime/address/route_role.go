package address

import (
	"errors"
	"fmt"
	"time"
)

// The roles of endpoints that RoleRule knows.
const (
	RoleLeader  = "leader"
	RoleReplica = "replica"
)

// RoleRule sends calls of methods that only read, see call.Method.ReadOnly, to replicas
// and all others to leaders. If no replica is usable, or fresh enough, leaders take the
// reads; what happens without a leader is up to the fallback. Endpoints with other roles,
// or none, get no calls.
type RoleRule struct {
	// Leader lets leaders share the reads.
	Leader bool
	// MaxStaleness is how far behind a replica may be, without limit if it is zero.
	MaxStaleness time.Duration
	// LagTag is the tag in which replicas say how far behind they are, as in "1.5s";
	// "lag" if it is empty.
	LagTag string
	// UnknownLag lets replicas read that do not say, or not in that form.
	UnknownLag bool
	// LeaderKey is the metadata key of reads that want to see what was written just
	// before: those that have it go to a leader. Empty means none.
	LeaderKey string
}

func (o *RoleRule) validate(Location) error {
	switch {
	case o.MaxStaleness < 0:
		return fmt.Errorf("max_staleness: is %v, want none or more than 0", o.MaxStaleness)
	case o.LeaderKey != "":
		return wrapField("leader_key", validateMetadataKey(o.LeaderKey))
	case o.MaxStaleness == 0 && (o.LagTag != "" || o.UnknownLag):
		return errors.New("max_staleness: is 0, want more for lag_tag and unknown_lag to mean anything")
	}
	return nil
}

// The branches of a roleDivision.
const (
	reads = iota
	leaders
	roleCount
)

type roleDivision struct {
	simple
	leaderKey string
	in        [][roleCount]bool // by node
}

func (o *RoleRule) divide(in forkInput) division {
	s := &roleDivision{leaderKey: o.LeaderKey, in: make([][roleCount]bool, len(in.nodes))}
	for i, n := range in.nodes {
		switch e := n.endpoint.Load(); e.Role {
		case RoleLeader:
			s.in[i] = [...]bool{reads: o.Leader, leaders: true}
		case RoleReplica:
			s.in[i][reads] = o.fresh(e)
		}
	}
	return s
}

// fresh reports whether the replica may answer reads.
func (o *RoleRule) fresh(e *Endpoint) bool {
	if o.MaxStaleness == 0 {
		return true
	}
	tag := o.LagTag
	if tag == "" {
		tag = "lag"
	}
	lag, err := time.ParseDuration(e.Tags[tag])
	if err != nil {
		return o.UnknownLag
	}
	return lag <= o.MaxStaleness
}

func (*roleDivision) count() int                  { return roleCount }
func (s *roleDivision) has(branch, node int) bool { return s.in[node][branch] }

func (s *roleDivision) first(r *Request) int {
	if r.Method == nil || !r.Method.ReadOnly() {
		return leaders
	}
	if s.leaderKey != "" {
		for i := range r.Metadata {
			if r.Metadata[i].Key == s.leaderKey {
				return leaders
			}
		}
	}
	return reads
}

func (*roleDivision) other(first, k int) int {
	if first == reads && k == 0 {
		return leaders
	}
	return -1
}
