package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Multi is a Line with several connections, which calls use in turn. Each is made
// when it is first wanted. One that was lost is passed over until the next attempt
// to make it is due.
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

// Take implements Line: if the connection whose turn it is can be made and is not
// there yet, there is none, so that all get connected.
func (m *Multi) Take() Client {
	at := m.next.Add(1)
	c, _ := m.take(at)
	if c == nil {
		m.next.CompareAndSwap(at, at-1) // it is the turn of the same one when the call picks
	}
	return c
}

// take returns the connection whose turn it is, or the next one that is there, and
// begins to make those that are not. If none is there it returns what makes the first.
func (m *Multi) take(at uint64) (Client, *Single) {
	n := uint64(len(m.lines))
	var first *Single
	for i := range n {
		s := m.lines[(at+i)%n]
		if c := s.Take(); c != nil {
			if first != nil {
				_, _, _ = first.join(false) // it is there for a later call
			}
			return c, nil
		}
		if first == nil && !s.resting() {
			first = s
		}
	}
	if first == nil {
		first = m.lines[at%n]
	}
	return nil, first
}

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
	c, s := m.take(m.next.Add(1))
	if c != nil {
		return c, nil
	}
	return s.Pick(ctx, deadline, wait)
}

// Connect implements connecter.
func (m *Multi) Connect(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error) {
	c, s := m.take(m.next.Add(1))
	if c != nil {
		return c, nil
	}
	return s.Connect(ctx, deadline, wait)
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
