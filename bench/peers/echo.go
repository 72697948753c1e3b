// Package peers holds the frameworks of the comparison, one file each. A new
// one is a file whose init function registers it.
package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// tag is the string that every message carries.
const tag = "bench"

// echoOf is what the unary and bidi handlers of every peer answer: a message
// of its own with what was sent.
func echoOf(in *echo.Echo) *echo.Echo {
	workload.Handlers.Pass()
	return &echo.Echo{Payload: in.Payload, Seq: in.Seq, Tag: in.Tag}
}

// sendAll is the server-streaming handler of every peer.
func sendAll(req *echo.StreamReq, send func(*echo.Echo) error) error {
	payload := workload.Payload(int(req.Size))
	for i := range req.Count {
		if err := send(&echo.Echo{Payload: payload, Seq: uint64(i), Tag: tag}); err != nil {
			return err
		}
	}
	return nil
}

// echoAll is the bidi handler of every peer.
func echoAll(recv func() (*echo.Echo, error), send func(*echo.Echo) error) error {
	for {
		in, err := recv()
		if errors.Is(err, io.EOF) { // connect-go wraps it
			return nil
		}
		if err != nil {
			return err
		}
		if err := send(echoOf(in)); err != nil {
			return err
		}
	}
}

// receiver is the reading side of a stream, as most frameworks generate it.
type receiver interface {
	Recv() (*echo.Echo, error)
}

// bidiStream is the caller's side of a bidi stream.
type bidiStream interface {
	receiver
	Send(*echo.Echo) error
	CloseSend() error
}

// Places of peers in reports.
const (
	orderRPCX = iota
	orderGRPC
	orderOthers
	orderFloors
)

// all are all kinds of cells, every but those all kinds except some.
var all = workload.Kinds

func every(but ...workload.Kind) []workload.Kind {
	return slices.DeleteFunc(slices.Clone(all), func(k workload.Kind) bool { return slices.Contains(but, k) })
}

// client is the part of a generated client that callers need, over a connection
// that they share. A peer fills in the kinds that it supports.
type client struct {
	close        func() error
	unary        func(context.Context, *echo.Echo) (*echo.Echo, error)
	serverStream func(context.Context, *echo.StreamReq) (receiver, error)
	bidi         func(context.Context) (bidiStream, error)
}

// Close closes the connection.
func (c client) Close() error { return c.close() }

// NewCaller returns a caller of the cell's kind that calls through c.
func (c client) NewCaller(cell workload.Cell) (workload.Caller, error) {
	payload := workload.Payload(cell.Bytes)
	switch cell.Method() {
	case workload.Unary:
		return c.unaryCaller(payload), nil
	case workload.ServerStream:
		return c.serverStreamCaller(cell), nil
	case workload.Bidi:
		return c.bidiCaller(payload, cell.MessagesPerCall()), nil
	}
	return nil, fmt.Errorf("no caller for %s", cell)
}

func (c client) unaryCaller(payload []byte) workload.Caller {
	ctx := context.Background()
	var seq uint64
	return func() error {
		seq++
		out, err := c.unary(ctx, &echo.Echo{Payload: payload, Seq: seq, Tag: tag})
		if err != nil {
			return err
		}
		return check(out, seq, len(payload))
	}
}

func (c client) serverStreamCaller(cell workload.Cell) workload.Caller {
	n := cell.MessagesPerCall()
	return func() error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		req := &echo.StreamReq{Count: uint32(n), Size: uint32(cell.Bytes)}
		stream, err := c.serverStream(ctx, req)
		if err != nil {
			return err
		}
		return receiveAll(stream, n, cell.Bytes)
	}
}

// bidiCaller sends n messages on one goroutine while it receives them on another.
func (c client) bidiCaller(payload []byte, n int) workload.Caller {
	return func() error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stream, err := c.bidi(ctx)
		if err != nil {
			return err
		}
		sent := make(chan error, 1)
		go func() { sent <- sendEchoes(stream, payload, n) }()
		if err := receiveAll(stream, n, len(payload)); err != nil {
			return err
		}
		return <-sent
	}
}

func sendEchoes(stream bidiStream, payload []byte, n int) error {
	for i := range n {
		if err := stream.Send(&echo.Echo{Payload: payload, Seq: uint64(i), Tag: tag}); err != nil {
			return fmt.Errorf("send %d: %w", i, err)
		}
	}
	return stream.CloseSend()
}

// receiveAll receives n messages with ascending seq, then the end of the stream.
func receiveAll(stream receiver, n, size int) error {
	for i := range n {
		msg, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("receive %d of %d: %w", i, n, err)
		}
		if err := check(msg, uint64(i), size); err != nil {
			return err
		}
	}
	switch _, err := stream.Recv(); {
	case err == nil:
		return fmt.Errorf("more than the %d messages that were asked for", n)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("after %d messages: %w", n, err)
	}
	return nil
}

// check compares what every answer must carry.
func check(m *echo.Echo, seq uint64, size int) error {
	if m.Seq != seq || len(m.Payload) != size || m.Tag != tag {
		return fmt.Errorf("answer has seq %d, %d bytes, tag %q; want %d, %d, %q",
			m.Seq, len(m.Payload), m.Tag, seq, size, tag)
	}
	return nil
}
