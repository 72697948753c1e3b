package rpcx

import (
	"context"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// clientCall is a call that passes through a client's interceptors.
type clientCall struct {
	c        *Conn
	o        *call.Options
	md       metadata.MD
	header   metadata.MD
	trailer  metadata.MD
	attempts int
	res      any // the caller's response message, unary calls only

	stream *interceptedStream // streaming calls only
}

// ResponseHeader implements call.Carrier.
func (cc *clientCall) ResponseHeader() metadata.MD { return cc.header }

// ResponseTrailer implements call.Carrier.
func (cc *clientCall) ResponseTrailer() metadata.MD { return cc.trailer }

// innermost is the end of a client's interceptor chain: the exchange with the server.
func innermost(ctx context.Context, c *call.Call) error {
	cc := c.Carrier().(*clientCall)
	if err := validate(cc.md); err != nil {
		return err
	}
	if cc.stream != nil {
		return cc.stream.run(ctx, c, cc)
	}
	req, err := c.Request()
	if err != nil {
		return err
	}
	res := cc.res
	if cc.attempts++; cc.attempts > 1 {
		res = c.Method().NewResponse()
	}
	u := cc.c.newUnary(c.Method(), req, res, cc.md, cc.o)
	defer cc.c.recycle(u)
	e := cc.c.unary(ctx, u, cc.o)
	if u.Peer != nil {
		c.SentTo(*u.Peer)
	}
	cc.header, cc.trailer = u.Header, u.Trailer
	if e != nil {
		return e
	}
	c.SetResponse(res)
	return nil
}

func (c *Conn) newCall(ctx context.Context, m *call.Method, req any, o *call.Options) (*call.Call, *clientCall, error) {
	md, err := outgoing(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	cc := &clientCall{c: c, o: o, md: md.Clone()}
	return call.New(call.Config{
		Method: m, Side: call.Client, Peer: call.Peer{Protocol: c.cfg.protocol()}, Class: o.Class,
		RequestHeader: &cc.md, Carrier: cc,
	}, req), cc, nil
}

// interceptUnary runs a unary call through the chain.
func (c *Conn) interceptUnary(ctx context.Context, m *call.Method, req, res any, o *call.Options) error {
	cl, cc, err := c.newCall(ctx, m, req, o)
	if err != nil {
		return err
	}
	cc.res = res
	if err := c.chain(ctx, cl); err != nil {
		return coded(err)
	}
	got := cl.Response()
	if got == res {
		return nil
	}
	from, ok1 := got.(proto.Message)
	to, ok2 := res.(proto.Message)
	if !ok1 || !ok2 || from.ProtoReflect().Descriptor() != to.ProtoReflect().Descriptor() {
		return status.Errorf(status.Internal, "an interceptor of %s set a response of type %T where %T belongs", m.FullName(), got, res)
	}
	proto.Reset(to)
	proto.Merge(to, from)
	return nil
}

// coded returns err as one that has a code.
func coded(err error) error {
	if e := status.FromError(err); e != nil {
		return e
	}
	return nil
}

// interceptedStream is a stream whose call is inside an interceptor chain. The
// chain runs on a goroutine of its own: next returns there when the call ends.
type interceptedStream struct {
	call.ClientStream
	call *call.Call

	opened   chan struct{} // closed when ClientStream is set
	ended    chan struct{} // closed when the exchange with the server is over
	endOnce  sync.Once
	err      *status.Error // how it ended; set before ended is closed
	finished chan struct{} // closed when the chain has returned
	result   error         // what it returned; set before finished is closed
}

func (c *Conn) interceptStream(ctx context.Context, m *call.Method, req any, o *call.Options) (call.ClientStream, error) {
	cl, cc, err := c.newCall(ctx, m, req, o)
	if err != nil {
		return nil, err
	}
	s := &interceptedStream{call: cl, opened: make(chan struct{}), ended: make(chan struct{}), finished: make(chan struct{})}
	cc.stream = s
	go func() {
		defer close(s.finished)
		s.result = coded(c.chain(ctx, cl))
	}()
	select {
	case <-s.opened:
		return s, nil
	case <-s.finished:
		select {
		case <-s.opened:
			return s, nil
		default:
		}
		if s.result == nil {
			return nil, status.Errorf(status.Internal, "an interceptor of %s ended a stream without an error before it was opened", m.FullName())
		}
		return nil, s.result
	}
}

// run opens the stream and waits for its end. It is the innermost next.
func (s *interceptedStream) run(ctx context.Context, c *call.Call, cc *clientCall) error {
	if cc.attempts++; cc.attempts > 1 {
		return status.Errorf(status.Internal, "an interceptor of %s called next twice for a stream", c.Method().FullName())
	}
	req, err := c.Request()
	if err != nil {
		return err
	}
	sc := &transport.StreamCall{Method: c.Method(), Req: req, Metadata: cc.md, Class: cc.o.Class, OnEnd: func(err *status.Error, _, _ int) { s.end(err) }}
	inner, e := cc.c.stream(ctx, sc, cc.o)
	if e != nil {
		return e
	}
	s.ClientStream = inner
	close(s.opened)
	<-s.ended
	cc.header, _ = inner.Header()
	cc.trailer = inner.Trailer()
	if s.err != nil {
		return s.err
	}
	return nil
}

func (s *interceptedStream) end(err *status.Error) {
	s.endOnce.Do(func() {
		s.err = err
		close(s.ended)
	})
}

// Send shows the message to the interceptors first.
func (s *interceptedStream) Send(msg any) error {
	if err := s.call.Sending(msg); err != nil {
		return s.refuse(err)
	}
	return s.ClientStream.Send(msg)
}

// Recv shows the message to the interceptors afterwards. The call's end is what
// they made of it.
func (s *interceptedStream) Recv(msg any) error {
	err := s.ClientStream.Recv(msg)
	if err == nil {
		if err := s.call.Received(msg); err != nil {
			return s.refuse(err)
		}
		return nil
	}
	if err == io.EOF {
		s.end(nil)
	} else {
		s.end(status.FromError(err))
	}
	<-s.finished
	if s.result != nil {
		return s.result
	}
	return io.EOF
}

// refuse ends the call because an interceptor did not like a message.
func (s *interceptedStream) refuse(err error) error {
	e := status.FromError(err)
	s.end(e)
	s.ClientStream.Close()
	return e
}

// Close waits for the interceptors, too.
func (s *interceptedStream) Close() error {
	err := s.ClientStream.Close()
	<-s.finished
	return err
}
