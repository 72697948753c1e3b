package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Multi is a Line with several connections, which calls use in turn. Each is made when it is first wanted.
type Multi struct {
	lines []*Single
	next  atomic.Uint64
}

// NewMulti returns a line of n connections, which have not been made yet.
func NewMulti(cfg Config, n int) *Multi {
	m := &Multi{lines: make([]*Single, n)}
	for i := range m.lines {
		m.lines[i] = NewSingle(cfg)
	}
	return m
}

// Take implements Line: if the connection whose turn it is is not there yet, there
// is none, so that all get connected.
func (m *Multi) Take() Client { return m.turn().Take() }

func (m *Multi) turn() *Single { return m.lines[m.next.Add(1)%uint64(len(m.lines))] }

// Failing implements Line.
func (m *Multi) Failing() bool {
	for _, s := range m.lines {
		if !s.Failing() {
			return false
		}
	}
	return true
}

// Pick implements Line.
func (m *Multi) Pick(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error) {
	return m.turn().Pick(ctx, deadline, wait)
}

// Done implements Line.
func (m *Multi) Done(Client) {}

// Retire implements Line.
func (m *Multi) Retire() {
	var all sync.WaitGroup
	for _, s := range m.lines {
		all.Go(s.Retire)
	}
	all.Wait()
}

// Close implements Line.
func (m *Multi) Close() error {
	var errs []error
	for _, s := range m.lines {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
