package memnet

import (
	"sync"
	"time"
)

// signal wakes everyone who waits for a change of state. The mutex of the state
// guards it. A channel, not a sync.Cond, so that it can stand in a select; made
// only when somebody waits.
type signal struct{ ch chan struct{} }

// wait returns a channel that the next wake closes.
func (s *signal) wait() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) wake() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// deadline is a moment at which waiting ends. It is guarded as signal is.
type deadline struct {
	timer  *time.Timer
	passed bool
}

// set moves the deadline to t, or away if t is zero; mu is the guard, which the
// caller holds, and s is woken when the deadline passes.
func (d *deadline) set(t time.Time, mu *sync.Mutex, s *signal) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		s.wake()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		mu.Lock()
		defer mu.Unlock()
		// A timer that fired while it was being replaced is not the current one.
		if d.timer == timer {
			d.passed = true
			s.wake()
		}
	})
	d.timer = timer
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
