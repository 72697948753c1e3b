package faults

import (
	"context"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Agent carries out orders through a connection and verifies what comes back.
// Its methods may be called concurrently.
type Agent struct {
	Conn    rpcx.Caller
	Journal *Journal
}

// Do carries out o and returns how the call ended.
func (a *Agent) Do(ctx context.Context, o Order) error {
	a.Journal.called(o)
	opts := []rpcx.CallOption{rpcx.WithMetadata(metadata.Pairs(orderKey, o.encode()))}
	if o.ByContext {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	} else {
		opts = append(opts, rpcx.WithTimeout(o.Timeout))
	}
	if o.CancelAfter > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		timer := time.AfterFunc(o.CancelAfter, cancel)
		defer timer.Stop()
	}
	var err error
	switch o.Kind {
	case Up:
		err = a.up(ctx, o, opts)
	case Down:
		err = a.down(ctx, o, opts)
	case Both:
		err = a.both(ctx, o, opts)
	default:
		err = a.unary(ctx, o, opts)
	}
	a.Journal.ended(o, err)
	return err
}

func request(o Order, n int) *message { return wrapperspb.Bytes(body(o.ID, fromCaller, n, o.SendSize)) }

// arrived verifies the n-th answer.
func (a *Agent) arrived(o Order, n int, m *message) {
	if err := verify(m.GetValue(), o.ID, fromCallee, n, o.AnswerSize); err != nil {
		a.Journal.Wrong("caller of %v %d: %v", o.Kind, o.ID, err)
	}
}

func (a *Agent) unary(ctx context.Context, o Order, opts []rpcx.CallOption) error {
	m := map[Kind]rpcx.Method[message, message]{Once: once, Repeat: repeat, Inline: inline}[o.Kind]
	res, err := rpcx.CallUnary(ctx, a.Conn, m, request(o, 0), opts...)
	if err == nil {
		a.arrived(o, 0, res)
	}
	return err
}

func (a *Agent) up(ctx context.Context, o Order, opts []rpcx.CallOption) error {
	s, err := rpcx.CallClientStream(ctx, a.Conn, up, opts...)
	if err != nil {
		return err
	}
	defer s.Close()
	for n := range o.Sends {
		if err := s.Send(request(o, n)); err == io.EOF {
			break // CloseAndRecv says why
		} else if err != nil {
			return err
		}
	}
	res, err := s.CloseAndRecv()
	if err == nil {
		a.arrived(o, 0, res)
	}
	return err
}

func (a *Agent) down(ctx context.Context, o Order, opts []rpcx.CallOption) error {
	s, err := rpcx.CallServerStream(ctx, a.Conn, down, request(o, 0), opts...)
	if err != nil {
		return err
	}
	defer s.Close()
	return a.answers(o, s.Recv, o.Answers)
}

// answers takes the answers of a stream.
func (a *Agent) answers(o Order, recv func() (*message, error), want int) error {
	for n := 0; ; n++ {
		if o.Leave > 0 && n == o.Leave {
			return status.New(status.Canceled, "the caller leaves")
		}
		if o.Pause > 0 {
			time.Sleep(o.Pause)
		}
		m, err := recv()
		if err == io.EOF {
			if n != want {
				a.Journal.Wrong("caller of %v %d: the stream ended well after %d messages of %d", o.Kind, o.ID, n, want)
			}
			return nil
		}
		if err != nil {
			if _, again := recv(); again == nil || again.Error() != err.Error() {
				a.Journal.Wrong("caller of %v %d: the stream ended with %v, and then with %v", o.Kind, o.ID, err, again)
			}
			return err
		}
		a.arrived(o, n, m)
	}
}

func (a *Agent) both(ctx context.Context, o Order, opts []rpcx.CallOption) error {
	s, err := rpcx.CallBidiStream(ctx, a.Conn, both, opts...)
	if err != nil {
		return err
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	defer s.Close()
	sender.Go(func() {
		for n := range o.Sends {
			if s.Send(request(o, n)) != nil {
				return // Recv says why
			}
		}
		if err := s.CloseSend(); err != nil {
			a.Journal.Wrong("caller of %v %d: CloseSend: %v", o.Kind, o.ID, err)
		}
	})
	return a.answers(o, s.Recv, o.Sends)
}
