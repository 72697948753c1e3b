package transport

import (
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// ended counts a call that is over and lets one in that waits for a slot.
func (c *Client) ended() {
	if c.inFlight.Add(-1) == 0 && c.draining.Load() {
		c.leave()
	}
	if c.slotWaiters.Load() > 0 {
		c.w.mu.Lock()
		c.slots.wake(1)
		c.w.mu.Unlock()
	}
}

// farewell is how long a server may take to close a connection that nobody uses
// any more.
const farewell = 5 * time.Second

// leave half-closes a drained connection that no call uses any more. The server
// closes it then.
func (c *Client) leave() {
	c.leaving.Do(func() {
		close(c.left)
		c.w.mu.Lock()
		defer c.w.mu.Unlock()
		if c.w.overLocked() != nil {
			return
		}
		c.w.sealed = &ConnError{c.addr(), ErrDraining}
		c.tasks.Add(1)
		go func() {
			defer c.tasks.Done()
			c.closeWrite()
			late := time.NewTimer(farewell)
			defer late.Stop()
			select {
			case <-c.dead.done():
			case <-late.C:
				c.end(ErrClosed)
			}
		}()
	})
}

// wakeSlots has all calls that wait for a slot look again.
func (c *Client) wakeSlots() {
	c.w.mu.Lock()
	c.slots.wakeAll()
	c.w.mu.Unlock()
}

func (c *Client) goAway(g frame.GoAway) error {
	if g.LastAccepted > c.goneTo {
		return protocolErrorf("GOAWAY of stream %d after one of %d", g.LastAccepted, c.goneTo)
	}
	c.goneTo = g.LastAccepted
	c.told.Store(true)
	c.draining.Store(true)
	c.wakeSlots()
	refused := c.calls.takeIf(func(id frame.StreamID) bool { return id > g.LastAccepted })
	for _, p := range refused {
		c.fail(p, unavailable(&ConnError{c.addr(), ErrDraining}, true))
	}
	if g.Code != frame.NoError {
		return goAwayError(g)
	}
	if c.inFlight.Load() == 0 {
		c.leave()
	}
	return c.idle()
}

// failAll ends every call that is left when the connection is over.
func (c *Client) failAll(why error) {
	c.w.mu.Lock()
	batches := c.w.batches
	c.slots.wakeAll()
	c.w.mu.Unlock()
	for _, p := range c.calls.takeIf(func(frame.StreamID) bool { return true }) {
		c.fail(p, unavailable(why, c.strange || p.epoch == batches))
	}
}

func (c *Client) fail(p *pending, err *status.Error) {
	if p.stream != nil {
		c.ended()
		p.stream.fail(err)
		return
	}
	p.result.err = err
	c.signal(p)
}

// cancelFrame tells the peer that this side gives a call up.
func (c *Client) cancelFrame(id frame.StreamID, code status.Code) {
	if c.w.lock() == nil {
		c.w.buf = frame.AppendCancel(c.w.buf, id, code)
		c.w.unlockAsync()
	}
}
