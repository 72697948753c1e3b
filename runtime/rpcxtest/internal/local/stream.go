package local

import (
	"context"
	"io"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// window is how many messages a stream holds in each direction before Send
// waits, in place of the bytes that a connection grants.
const window = 64

// Stream starts a call of a streaming kind; req is the single request of a
// server-streaming method. The handler runs on a goroutine of its own, which
// has ended when Recv has returned an error or Close has returned.
func (s *Server) Stream(ctx context.Context, m *call.Method, req any, o call.Options) (call.ClientStream, error) {
	cs := &stream{
		requests:   make(chan any, window),
		responses:  make(chan any, window),
		halfClosed: make(chan struct{}),
		done:       make(chan struct{}),
		options:    o,
	}
	if !m.Kind().CallerStreams() {
		in := m.NewRequest()
		if err := copyMessage(in, req); err != nil {
			return nil, err
		}
		cs.requests <- in
		close(cs.halfClosed)
		cs.half = true
	}
	h, c, err := s.begin(ctx, m, &o)
	if err != nil {
		return nil, err
	}
	cs.c = c
	go cs.serve(h)
	return cs, nil
}

// stream is a call that streams: the caller's side is the type itself, the
// handler's is callee.
type stream struct {
	c          *callContext
	options    call.Options
	requests   chan any
	responses  chan any
	halfClosed chan struct{}
	half       bool // halfClosed is closed; for the goroutine that sends

	done   chan struct{} // closed when the handler has returned
	result error         // how the call ended; io.EOF if well. Set before done is closed

	mu    sync.Mutex
	abort error // why this side gave the call up, if not because of its context
	end   error // what Recv returns from now on
}

// serve runs the handler.
func (s *stream) serve(h call.Handler) {
	// This stays if the handler calls runtime.Goexit.
	s.result = status.New(status.Internal, "the handler ended its goroutine")
	defer func() {
		close(s.done)
		s.c.meta.takeHeader()
		s.c.cancelHandler()
	}()
	_, err := s.c.run(func() (any, error) { return nil, h.Stream(s.c, callee{s}) })
	if err == nil {
		err = io.EOF
	}
	s.result = err
}

// Send implements call.ClientStream.
func (s *stream) Send(msg any) error {
	if s.half {
		return status.Errorf(status.Internal, "a message of %s was sent after the half-close", s.c.method.FullName())
	}
	m := s.c.method.NewRequest()
	if err := copyMessage(m, msg); err != nil {
		s.giveUp(err) // the call cannot go on without the message
		return err
	}
	select {
	case <-s.done:
		return io.EOF
	case <-s.c.caller.Done():
		return io.EOF
	default:
	}
	select {
	case s.requests <- m:
		return nil
	case <-s.done:
	case <-s.c.caller.Done():
	}
	return io.EOF
}

// CloseSend implements call.ClientStream.
func (s *stream) CloseSend() error {
	if !s.half {
		s.half = true
		close(s.halfClosed)
	}
	return nil
}

// Recv implements call.ClientStream.
func (s *stream) Recv(msg any) error {
	if err := s.received(); err != nil {
		return err
	}
	m, err := s.next()
	if err == nil {
		err = copyMessage(msg, m)
		if err == nil {
			return nil
		}
		s.giveUp(err)
	}
	<-s.done
	s.c.cancelCaller()
	s.c.meta.fill(&s.options)
	s.finish(err)
	return s.received()
}

// giveUp ends the call from this side.
func (s *stream) giveUp(err error) {
	s.mu.Lock()
	if s.abort == nil {
		s.abort = err
	}
	s.mu.Unlock()
	s.c.cancelCaller()
}

// over returns why the caller has stopped waiting in the given phase, or nil.
func (s *stream) over(phase status.Phase) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abort != nil {
		return s.abort
	}
	return s.c.ended(phase)
}

// next waits for the next message or the end of the call.
func (s *stream) next() (any, error) {
	if err := s.over(status.PhaseReceive); err != nil {
		return nil, err
	}
	select {
	case m := <-s.responses:
		return m, nil
	default:
	}
	select {
	case m := <-s.responses:
		return m, nil
	case <-s.c.caller.Done():
		return nil, s.over(status.PhaseHandler)
	case <-s.done:
	}
	select {
	case m := <-s.responses: // sent just before the handler returned
		return m, nil
	default:
	}
	if err := s.over(status.PhaseHandler); err != nil {
		return nil, err
	}
	return nil, s.result
}

// received returns what Recv returns from now on, or nil if the call goes on.
func (s *stream) received() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// finish sets what Recv returns from now on, if nothing has before.
func (s *stream) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.end = err
	}
}

// Header implements call.ClientStream.
func (s *stream) Header() (metadata.MD, error) {
	select {
	case <-s.c.meta.sent:
	case <-s.c.caller.Done():
	}
	select {
	case <-s.c.meta.sent:
	default:
		return nil, s.over(status.PhaseHandler)
	}
	md := s.c.meta.takeHeader()
	if md != nil {
		return md, nil
	}
	select {
	case <-s.done:
		if s.result != io.EOF {
			return nil, s.result
		}
	default:
	}
	return nil, nil
}

// Trailer implements call.ClientStream.
func (s *stream) Trailer() metadata.MD {
	if s.received() == nil {
		return nil
	}
	return s.c.meta.takeTrailer()
}

// Close implements call.ClientStream. It returns when the handler has.
func (s *stream) Close() error {
	s.c.cancelCaller()
	<-s.done
	s.finish(s.over(status.PhaseNone))
	return nil
}

// callee is the handler's side of a stream.
type callee struct{ s *stream }

// Send implements call.ServerStream.
func (c callee) Send(msg any) error {
	s := c.s
	m := s.c.method.NewResponse()
	if err := copyMessage(m, msg); err != nil {
		return err
	}
	if s.c.Err() != nil {
		return io.EOF
	}
	s.c.meta.takeHeader()
	select {
	case s.responses <- m:
		return nil
	case <-s.c.Done():
		return io.EOF
	}
}

// Recv implements call.ServerStream.
func (c callee) Recv(msg any) error {
	s := c.s
	for last := false; ; last = true {
		if err := s.c.ended(status.PhaseNone); err != nil {
			return err
		}
		select {
		case m := <-s.requests:
			return copyMessage(msg, m)
		default:
		}
		if last {
			return io.EOF
		}
		select {
		case m := <-s.requests:
			return copyMessage(msg, m)
		case <-s.halfClosed: // what was sent before it comes first
		case <-s.c.Done():
			if err := s.c.ended(status.PhaseNone); err != nil {
				return err
			}
			return status.New(status.Canceled, "the handler has returned")
		}
	}
}

var (
	_ call.ClientStream = (*stream)(nil)
	_ call.ServerStream = callee{}
)
