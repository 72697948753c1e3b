package dispatch

import (
	"fmt"
	"sync/atomic"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Limit is an Admission that bounds how many handlers run at once.
type Limit struct {
	max     int64
	running atomic.Int64
}

// NewLimit returns an Admission that lets at most n handlers run at once.
func NewLimit(n int) *Limit { return &Limit{max: int64(n)} }

// Admit refuses with RESOURCE_EXHAUSTED while the limit is reached.
func (l *Limit) Admit(*Call) *status.Error {
	if n := l.running.Add(1); n > l.max {
		l.running.Add(-1)
		return status.New(status.ResourceExhausted, fmt.Sprintf(
			"the server would run %d handlers, above the limit of %d (option WithMaxHandlers)", n, l.max))
	}
	return nil
}

// Done makes room for another handler.
func (l *Limit) Done(*Call) { l.running.Add(-1) }

// Running returns how many handlers run now.
func (l *Limit) Running() int { return int(l.running.Load()) }
