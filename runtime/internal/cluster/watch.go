package cluster

import (
	"math/rand/v2"
	"sync"
	"time"
)

// watch looks after a connection from when it begins until it ends: it pings the
// server, and has the connection drained when it is old or idle. Times are since it
// begun; never is one that does not come.
type watch struct {
	c     *connection
	begun time.Time
	looks sync.WaitGroup // those under way

	mu    sync.Mutex // guards timer and over
	timer *time.Timer
	over  bool

	ping, idle, old time.Duration // when each is due

	heard, used uint64 // what had been received when the server was last heard of, and a call last used it
	quiet       int    // for how many halves of the idle time none has
}

const never = 1<<63 - 1

// begin is called once, and end after it if at all.
func (w *watch) begin(c *connection) {
	w.c, w.begun, w.heard = c, time.Now(), c.Received()
	w.ping, w.idle, w.old = never, never, never
	if c.cfg.Keepalive > 0 {
		w.ping = c.cfg.Keepalive
	}
	if c.cfg.IdleTimeout/2 > 0 {
		w.idle = c.cfg.IdleTimeout / 2
	}
	if c.cfg.MaxAge > 0 {
		w.old = time.Duration(float64(c.cfg.MaxAge) * (0.9 + rand.Float64()/5))
	}
	if next := w.next(); next != never {
		w.mu.Lock() // it may fire at once
		w.timer = time.AfterFunc(next, w.look)
		w.mu.Unlock()
	}
}

// end returns when no look is under way and none will come.
func (w *watch) end() {
	w.mu.Lock()
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.looks.Wait()
}

// next returns when the first thing is due.
func (w *watch) next() time.Duration { return min(w.ping, w.idle, w.old) }

// look does what is due, and comes again when the next thing is.
func (w *watch) look() {
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return
	}
	w.looks.Add(1)
	w.mu.Unlock()
	defer w.looks.Done()
	now := time.Since(w.begun)
	if w.old <= now {
		w.old = never
		w.c.Retire()
	}
	if w.idle <= now {
		w.idle = now + w.c.cfg.IdleTimeout/2
		w.lookIfIdle()
	}
	if w.ping <= now {
		w.ping = now + w.c.cfg.Keepalive
		w.lookIfAlive()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if next := w.next(); !w.over && next != never {
		w.timer.Reset(next - time.Since(w.begun))
	}
}

// lookIfIdle has the connection drained if no call has used it for both halves of
// the idle time.
func (w *watch) lookIfIdle() {
	w.quiet++
	if n := w.c.Received(); n != w.used || w.c.InFlight() > 0 {
		w.used, w.quiet = n, 0
	}
	if w.quiet == 2 {
		w.c.Retire()
	}
}

// lookIfAlive pings the server if calls wait for it and nothing has come.
func (w *watch) lookIfAlive() {
	n := w.c.Received()
	if n == w.heard && w.c.InFlight() > 0 {
		w.c.CheckAlive(w.c.cfg.KeepaliveTimeout)
		n = w.c.Received()
	}
	w.heard = n
}
