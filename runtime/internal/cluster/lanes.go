package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// LineFunc makes the way to the endpoint in cfg, which has not been connected yet.
type LineFunc func(cfg Config) (Line, error)

// lanes are the ways to one endpoint: calls of different lanes share no
// connection. Each is made when the first call of its lane comes.
type lanes struct {
	cfg   Config
	open  LineFunc
	lines [call.MaxLane + 1]atomic.Pointer[Line]

	mu     sync.Mutex
	closed bool
}

func (l *lanes) init(cfg Config, open LineFunc) { l.cfg, l.open = cfg, open }

// line returns the way that calls of the lane go.
func (l *lanes) line(lane uint8) (Line, error) {
	if line := l.lines[lane&call.MaxLane].Load(); line != nil {
		return *line, nil
	}
	return l.begin(lane)
}

// begin is line for a lane that may have no way yet.
func (l *lanes) begin(lane uint8) (Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line := l.lines[lane&call.MaxLane].Load(); line != nil {
		return *line, nil
	}
	if l.closed {
		return nil, transport.ErrClosed
	}
	line, err := l.open(l.cfg)
	if err != nil {
		return nil, err
	}
	l.lines[lane&call.MaxLane].Store(&line)
	return line, nil
}

// used reports whether a call has gone there.
func (l *lanes) used() bool {
	for i := range l.lines {
		if l.lines[i].Load() != nil {
			return true
		}
	}
	return false
}

// end returns all lines there are; no more are made.
func (l *lanes) end() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var all []Line
	for i := range l.lines {
		if line := l.lines[i].Load(); line != nil {
			all = append(all, *line)
		}
	}
	return all
}

// retire lets no more calls begin and returns when the last one has ended.
func (l *lanes) retire() { each(l.end(), Line.Retire) }

// close closes all connections.
func (l *lanes) close() { each(l.end(), func(line Line) { line.Close() }) }

// each calls f for all at once and returns when all calls have returned.
func each[T any](all []T, f func(T)) {
	if len(all) == 1 {
		f(all[0])
		return
	}
	var calls sync.WaitGroup
	for _, one := range all {
		calls.Go(func() { f(one) })
	}
	calls.Wait()
}
