package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Multi is a cluster of one endpoint with several connections, which calls use
// in turn. Each is made when it is first wanted.
type Multi struct {
	lines []*Single
	next  atomic.Uint64
}

// NewMulti returns a cluster of n connections, which have not been made yet.
func NewMulti(cfg Config, n int) *Multi {
	m := &Multi{lines: make([]*Single, n)}
	for i := range m.lines {
		m.lines[i] = NewSingle(cfg)
	}
	return m
}

// Pick implements Cluster.
func (m *Multi) Pick(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error) {
	return m.lines[m.next.Add(1)%uint64(len(m.lines))].Pick(ctx, deadline, wait)
}

// Done implements Cluster.
func (m *Multi) Done(Client) {}

// Close implements Cluster.
func (m *Multi) Close() error {
	var errs []error
	for _, s := range m.lines {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
