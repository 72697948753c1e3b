package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// A peer may send this many frames that bring no call forward within floodTime.
const (
	floodFrames = 1000
	floodTime   = 10 * time.Second
)

// flood counts frames that bring no call forward.
type flood struct {
	n     int
	since time.Duration // from epoch: a time takes more memory
	sent  uint64
}

// epoch is what flood counts time from.
var epoch = time.Now()

// progressed starts the count anew: a call was let in or closed, or a part of a
// message of one that is open arrived.
func (f *flood) progressed() { f.n = 0 }

// count counts a frame without progress. sent counts the messages that this side
// has sent on streams, which is progress, too.
func (f *flood) count(now time.Time, sent uint64) error {
	at := now.Sub(epoch)
	if f.n == 0 || sent != f.sent || at-f.since > floodTime {
		f.n, f.sent, f.since = 0, sent, at
	}
	f.n++
	if f.n >= floodFrames {
		return &frame.Error{Code: frame.FloodError, Reason: fmt.Sprintf("%d frames without progress within %v, the limit is %d (fixed)", f.n, at-f.since, floodFrames)}
	}
	return nil
}

// pings are the PINGs that this side has sent and that wait for their answer.
type pings struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan struct{}
}

func (l *link) ping(h *frame.Header, payload []byte) error {
	opaque := frame.ParsePing(payload)
	if h.Flags.Has(frame.FlagAck) {
		if l.probed(opaque) {
			return nil
		}
		l.pings.mu.Lock()
		defer l.pings.mu.Unlock()
		answered, ok := l.pings.waiting[opaque]
		if !ok {
			return l.idle()
		}
		delete(l.pings.waiting, opaque)
		close(answered)
		return nil
	}
	if err := l.idle(); err != nil {
		return err
	}
	if err := l.w.lockControl(); err != nil {
		return err
	}
	l.w.buf = frame.AppendPingAck(l.w.buf, opaque)
	l.w.unlockAsync()
	return nil
}

// Received returns a number that grows whenever something arrives.
func (l *link) Received() uint64 { return l.received.Load() }

// CheckAlive sends a PING and ends the connection unless its answer comes within
// timeout.
func (l *link) CheckAlive(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if l.Ping(ctx) == context.DeadlineExceeded {
		l.end(fmt.Errorf("no answer to a ping within %v (option WithKeepalive): %w", timeout, context.DeadlineExceeded))
	}
}

// Ping sends a PING and waits for its answer.
func (l *link) Ping(ctx context.Context) error {
	answered := make(chan struct{})
	l.pings.mu.Lock()
	l.pings.last++
	opaque := l.pings.last
	if l.pings.waiting == nil {
		l.pings.waiting = map[uint64]chan struct{}{}
	}
	l.pings.waiting[opaque] = answered
	l.pings.mu.Unlock()
	defer func() {
		l.pings.mu.Lock()
		delete(l.pings.waiting, opaque)
		l.pings.mu.Unlock()
	}()
	if err := l.w.lock(); err != nil {
		return err
	}
	l.w.buf = frame.AppendPing(l.w.buf, opaque)
	l.w.unlockAsync()
	select {
	case <-answered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.dead.done():
		return l.err
	}
}
