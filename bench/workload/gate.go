package workload

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Handlers is the gate that every unary handler of this process passes. It is
// open but while calls are to be slow.
var Handlers Gate

// A Gate lets calls through, or holds them until it opens. The zero value is
// open. Its methods may be called concurrently.
type Gate struct {
	closed  atomic.Bool // whether Pass must look
	mu      sync.Mutex
	opened  chan struct{} // closed by Open; nil while open
	waiting int
	arrived chan struct{} // tells Await that somebody came
}

// Pass waits while the gate is closed.
func (g *Gate) Pass() {
	if g.closed.Load() {
		g.wait()
	}
}

func (g *Gate) wait() {
	g.mu.Lock()
	opened := g.opened
	if opened == nil {
		g.mu.Unlock()
		return
	}
	g.waiting++
	select {
	case g.arrived <- struct{}{}:
	default:
	}
	g.mu.Unlock()
	<-opened
}

// Close closes the gate, which must be open.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting, g.opened, g.arrived = 0, make(chan struct{}), make(chan struct{}, 1)
	g.closed.Store(true)
}

// Open lets all through that wait, and all who come.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed.Store(false)
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

// Await waits until n calls wait at the gate, which is closed. It fails if they
// do not come in time.
func (g *Gate) Await(n int, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		g.mu.Lock()
		waiting, arrived := g.waiting, g.arrived
		g.mu.Unlock()
		if waiting >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-timer.C:
			return fmt.Errorf("%d calls of %d have come within %v", waiting, n, limit)
		}
	}
}
