package httpclient

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// stream is the caller's side of a call that streams. It implements
// call.ClientStream.
type stream struct {
	x      *exchange
	cs     connect.ClientStream
	kind   call.Kind
	cancel context.CancelFunc
	stop   []func() bool // take back what watches over contexts
	onEnd  func(err *status.Error, sent, received int)

	// opening is held while the request begins, which writes its headers; closing
	// it reads them.
	opening    sync.Mutex
	sendClosed bool // of the goroutine that sends

	sent, received atomic.Int64 // bytes of messages

	mu      sync.Mutex
	over    bool
	err     *status.Error // how it ended; nil if well
	trailer metadata.MD
}

// OpenStream implements cluster.Client.
func (l *lent) OpenStream(ctx context.Context, sc *transport.StreamCall) (call.ClientStream, *status.Error) {
	if ctx.Err() != nil || sc.Timed && !time.Now().Before(sc.Deadline) {
		return nil, ended(ctx, sc.Timed, status.PhaseSend).WithNotRun()
	}
	s := &stream{kind: sc.Method.Kind(), onEnd: sc.OnEnd}
	var req httpform.Encoded
	if !s.kind.CallerStreams() {
		var err error
		if req, err = l.encode(sc.Req); err != nil {
			return nil, status.FromError(err).WithNotRun()
		}
	}
	if sc.Timed {
		ctx, s.cancel = context.WithDeadline(ctx, sc.Deadline)
	} else {
		ctx, s.cancel = context.WithCancel(ctx)
	}
	var err *status.Error
	if s.x, s.cs, err = l.begin(ctx, sc.Method, sc.Metadata, sc.Class, sc.Route, sc.Routed); err != nil {
		s.cancel()
		return nil, err
	}
	s.mu.Lock() // until stop is complete
	s.stop = []func() bool{
		context.AfterFunc(ctx, func() { s.end(ended(ctx, false, status.Phase(s.x.phase.Load()))) }),
		context.AfterFunc(l.p.ctx, func() { s.end(sent(cluster.Unavailable(s.x.lost(transport.ErrClosed)), s.x.asked.Load())) }),
	}
	s.mu.Unlock()
	if s.kind.CallerStreams() {
		_ = s.open(s.cs.SendHeaders) // if it fails, Recv tells why
	} else {
		l.p.tasks.Go(func() { s.sendOnly(req) })
	}
	return s, nil
}

// encode returns msg in bytes.
func (l *lent) encode(msg any) (httpform.Encoded, error) {
	with := l.p.cfg.Transport.Codec
	size, err := codec.Size(with, msg)
	if err != nil {
		return nil, err
	}
	return codec.Append(with, make([]byte, 0, size), msg, size)
}

// sendOnly sends the single request. It returns when the answer begins.
func (s *stream) sendOnly(req httpform.Encoded) {
	s.sent.Store(int64(len(req)))
	err := s.open(func() error { return s.cs.Send(req) })
	switch {
	case err == nil:
		s.sent.Store(httpform.Moved(s.x.info.SendStats)) // after compression
		_ = s.cs.CloseSend()
	case !s.x.asked.Load():
		s.end(s.x.failure(err)) // otherwise Recv tells why
	}
}

// open begins the request, unless the call is over.
func (s *stream) open(begin func() error) error {
	s.opening.Lock()
	defer s.opening.Unlock()
	if _, over := s.ended(); over {
		return context.Canceled
	}
	return begin()
}

// end ends the call as err says, if it has not ended.
func (s *stream) end(err *status.Error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over, s.err = true, err
	stop := s.stop
	s.mu.Unlock()
	for _, f := range stop {
		f()
	}
	if err != nil {
		s.x.aborted.Store(true)
		s.cancel() // before Close, which waits for the answer otherwise
	}
	s.opening.Lock()
	_ = s.cs.Close()
	s.opening.Unlock()
	s.cancel()
	s.x.openHead()
	if s.onEnd != nil {
		s.onEnd(err, int(s.sent.Load()), int(s.received.Load()))
	}
}

// ended reports whether the call has ended, and what Recv returns then.
func (s *stream) ended() (error, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.over:
		return nil, false
	case s.err != nil:
		return s.err, true
	}
	return io.EOF, true
}

// Send implements call.ClientStream.
func (s *stream) Send(msg any) error {
	if s.sendClosed {
		return status.New(status.FailedPrecondition, "Send after CloseSend")
	}
	if _, over := s.ended(); over {
		return io.EOF
	}
	err := s.cs.Send(msg)
	if err == nil {
		s.sent.Add(httpform.Moved(s.x.info.SendStats))
		return nil
	}
	if _, over := s.ended(); over || errors.Is(err, io.EOF) || s.x.ctx.Err() != nil {
		return io.EOF
	}
	e := httpform.FromConnect(err) // the message cannot be sent: the call cannot go on
	s.end(e)
	return e
}

// CloseSend implements call.ClientStream.
func (s *stream) CloseSend() error {
	if !s.kind.CallerStreams() {
		return nil
	}
	if s.sendClosed {
		if !s.kind.CalleeStreams() {
			return status.New(status.FailedPrecondition, "CloseAndRecv was called before")
		}
		return nil
	}
	s.sendClosed = true
	_ = s.cs.CloseSend() // if it fails, Recv tells why
	return nil
}

// Recv implements call.ClientStream.
func (s *stream) Recv(msg any) error {
	if err, over := s.ended(); over {
		return err
	}
	err := s.cs.Receive(msg)
	if err == nil {
		s.received.Add(httpform.Moved(s.x.info.ReceiveStats))
		if s.kind.CalleeStreams() {
			return nil
		}
	}
	trailer, bad := s.x.metadata(s.x.info.ResponseTrailer())
	s.mu.Lock()
	if !s.over {
		s.trailer = trailer
	}
	s.mu.Unlock()
	if err != nil && !errors.Is(err, io.EOF) {
		bad = s.x.failure(err)
	}
	s.end(bad)
	if err == nil && bad == nil {
		return nil // the single answer
	}
	result, _ := s.ended()
	return result
}

// Header implements call.ClientStream.
func (s *stream) Header() (metadata.MD, error) {
	<-s.x.head
	s.x.mu.Lock()
	md := s.x.header
	s.x.mu.Unlock()
	if err, over := s.ended(); over && md == nil && err != io.EOF {
		return nil, err
	}
	return md, nil
}

// Trailer implements call.ClientStream.
func (s *stream) Trailer() metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}

// Close implements call.ClientStream.
func (s *stream) Close() error {
	s.end(ended(context.Background(), false, status.PhaseNone))
	return nil
}

var _ call.ClientStream = (*stream)(nil)
