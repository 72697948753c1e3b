package faults

import (
	"context"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

type message = wrapperspb.BytesValue

func spec(name string, kind call.Kind) rpcx.MethodSpec {
	return rpcx.MethodSpec{Service: "faults.v1.Faults", Name: name, Kind: kind}
}

func unarySpec(name string, level call.Idempotency, inline bool) rpcx.MethodSpec {
	s := spec(name, rpcx.Unary)
	s.Idempotency, s.NonBlocking = level, inline
	return s
}

// The methods.
var (
	once   = rpcx.NewMethod[message, message](spec("Once", rpcx.Unary))
	repeat = rpcx.NewMethod[message, message](unarySpec("Repeat", rpcx.Idempotent, false))
	inline = rpcx.NewMethod[message, message](unarySpec("Inline", rpcx.NoSideEffects, true))
	up     = rpcx.NewMethod[message, message](spec("Up", rpcx.ClientStream))
	down   = rpcx.NewMethod[message, message](spec("Down", rpcx.ServerStream))
	both   = rpcx.NewMethod[message, message](spec("Both", rpcx.BidiStream))
)

// orderKey is the metadata key under which a handler learns the order.
const orderKey = "order-bin"

// Service answers orders and writes what its handlers see into a journal.
type Service struct{ Journal *Journal }

// Register makes the service answer calls on srv.
func (s *Service) Register(srv rpcx.Registrar) {
	srv.Register(
		rpcx.UnaryHandler(once, s.unary),
		rpcx.UnaryHandler(repeat, s.unary),
		rpcx.UnaryHandler(inline, s.unary),
		rpcx.ClientStreamHandler(up, s.up),
		rpcx.ServerStreamHandler(down, s.down),
		rpcx.BidiStreamHandler(both, s.both),
	)
}

// begin notes that the handler of a call has started.
func (s *Service) begin(ctx context.Context) (Order, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	o, err := decodeOrder(md.Get(orderKey))
	if err != nil {
		s.Journal.Wrong("a handler's metadata: %v", err)
		return o, err
	}
	s.Journal.handlerStarted(o)
	return o, nil
}

// work takes the time that the order asks for, or less if nobody waits.
func (s *Service) work(ctx context.Context, o Order) error {
	if o.Work > 0 && o.Kind != Inline {
		t := time.NewTimer(o.Work)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if o.Code != status.OK {
		return status.New(o.Code, "as ordered")
	}
	return nil
}

// arrived verifies the n-th message of the caller.
func (s *Service) arrived(o Order, n int, m *message) {
	if err := verify(m.GetValue(), o.ID, fromCaller, n, o.SendSize); err != nil {
		s.Journal.Wrong("handler of %v %d: %v", o.Kind, o.ID, err)
	}
}

func answer(o Order, n int) *message {
	return wrapperspb.Bytes(body(o.ID, fromCallee, n, o.AnswerSize))
}

func (s *Service) unary(ctx context.Context, req *message) (res *message, err error) {
	o, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { s.Journal.handlerReturned(o, err) }()
	s.arrived(o, 0, req)
	if err := s.work(ctx, o); err != nil {
		return nil, err
	}
	return answer(o, 0), nil
}

func (s *Service) up(ctx context.Context, stream rpcx.ClientStreamingServer[message]) (res *message, err error) {
	o, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { s.Journal.handlerReturned(o, err) }()
	if err := s.work(ctx, o); err != nil {
		return nil, err
	}
	n := 0
	for ; ; n++ {
		m, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		s.arrived(o, n, m)
	}
	if n != o.Sends {
		s.Journal.Wrong("handler of %v %d: the stream ended after %d messages of %d", o.Kind, o.ID, n, o.Sends)
	}
	return answer(o, 0), nil
}

func (s *Service) down(ctx context.Context, req *message, stream rpcx.ServerStreamingServer[message]) (err error) {
	o, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { s.Journal.handlerReturned(o, err) }()
	s.arrived(o, 0, req)
	if err := s.work(ctx, o); err != nil {
		return err
	}
	for n := range o.Answers {
		if err := stream.Send(answer(o, n)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) both(ctx context.Context, stream rpcx.BidiStreamingServer[message, message]) (err error) {
	o, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { s.Journal.handlerReturned(o, err) }()
	if err := s.work(ctx, o); err != nil {
		return err
	}
	n := 0
	for ; ; n++ {
		m, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		s.arrived(o, n, m)
		if err := stream.Send(answer(o, n)); err != nil {
			return err
		}
	}
	if n != o.Sends {
		s.Journal.Wrong("handler of %v %d: the stream ended after %d messages of %d", o.Kind, o.ID, n, o.Sends)
	}
	return nil
}
