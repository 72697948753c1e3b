package rpcx

import (
	"context"
	"math/rand/v2"
	"time"
)

// aging has connections drained that are old. There is one timer for all of them,
// so that a connection costs nothing until it is old.
type aging struct {
	begun time.Time // when the server was made, from where on times are counted

	// Guarded by the server's lock.
	timer *time.Timer   // runs if there are connections that will be old
	next  time.Duration // when it fires; 0: not at all
	over  bool          // nobody is told to go any more
}

// agingSteps is into how many steps the time until connections are old is cut: the
// timer fires at most once in each.
const agingSteps = 64

// at returns t as times are counted here.
func (a *aging) at(t time.Time) time.Duration { return t.Sub(a.begun) }

// stop has no more connections become old.
func (a *aging) stop() {
	a.over = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// age is what is known of a connection's age. The server's lock guards it.
type age struct {
	due      time.Duration // when it is old; 0: never, or it has been told, or it has ended
	retiring chan struct{} // closed when the retirement is over that has begun; nil if none has
}

// ageLocked has v drained when it is old.
func (s *Server) ageLocked(v *visit) {
	if s.cfg.maxAge <= 0 {
		return
	}
	a := &s.aging
	now := a.at(time.Now())
	v.age.due = max(now+time.Duration(float64(s.cfg.maxAge)*(0.9+(0.2-1.0/agingSteps)*rand.Float64())), 1)
	if a.next == 0 || v.age.due < a.next {
		s.wakeLocked(v.age.due, now)
	}
}

// wakeLocked has retireOld called at the given time.
func (s *Server) wakeLocked(at, now time.Duration) {
	a := &s.aging
	a.next = at
	if a.timer == nil {
		a.timer = time.AfterFunc(at-now, s.retireOld)
		return
	}
	a.timer.Reset(at - now)
}

// retireOld has the connections drained that are old.
func (s *Server) retireOld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.aging
	if a.over {
		return
	}
	now := a.at(time.Now())
	a.next = 0
	for v := range s.conns {
		switch due := v.age.due; {
		case due == 0:
		case due > now:
			if a.next == 0 || due < a.next {
				a.next = due
			}
		default:
			v.age.due = 0
			v.old.Store(true)
			if v.c != nil && !v.other.Load() {
				v.age.retiring = make(chan struct{})
				go v.retire(v.age.retiring)
			}
		}
	}
	if a.next != 0 {
		s.wakeLocked(max(a.next, now+s.cfg.maxAge/agingSteps), now)
	}
}

// retire has the connection drained and closes done.
func (v *visit) retire(done chan<- struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(context.Background(), v.s.cfg.ageGrace)
	defer cancel()
	v.c.Drain(ctx)
}

// settleDown is called when v has ended. It is not drained any more when that returns.
func (s *Server) settleDown(v *visit) {
	s.mu.Lock()
	v.age.due = 0
	retiring := v.age.retiring
	s.mu.Unlock()
	if retiring != nil {
		<-retiring
	}
}
