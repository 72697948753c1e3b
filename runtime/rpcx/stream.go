package rpcx

import (
	"io"
	"iter"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// ServerStreamingClient is the caller's side of a server-streaming call.
//
// The stream holds resources of the connection until it ends: read it to its
// end, break out of All, call Close, or cancel the call's context.
type ServerStreamingClient[Res any] struct{ s call.ClientStream }

// NewServerStreamingClient gives types to the messages of s. Tests use it to
// make streams without a server.
func NewServerStreamingClient[Res any](s call.ClientStream) ServerStreamingClient[Res] {
	return ServerStreamingClient[Res]{s}
}

// Recv returns the next message, io.EOF at the clean end of the stream, or the call's error.
func (c ServerStreamingClient[Res]) Recv() (*Res, error) { return recv[Res](c.s) }

// All ranges over the messages until the stream ends. An error ends it and is
// yielded last, with a nil message; the clean end yields nothing. Breaking out
// of the loop releases the stream, as Close does.
func (c ServerStreamingClient[Res]) All() iter.Seq2[*Res, error] { return all[Res](c.s) }

// Header waits for the response headers and returns them.
func (c ServerStreamingClient[Res]) Header() (metadata.MD, error) { return c.s.Header() }

// Trailer returns the trailers; they are there once Recv has returned an error.
func (c ServerStreamingClient[Res]) Trailer() metadata.MD { return c.s.Trailer() }

// Close releases the stream, cancelling the call if it has not ended.
func (c ServerStreamingClient[Res]) Close() error { return c.s.Close() }

// ClientStreamingClient is the caller's side of a client-streaming call. The
// call ends with CloseAndRecv, Close, or its context.
type ClientStreamingClient[Req, Res any] struct{ s call.ClientStream }

// NewClientStreamingClient gives types to the messages of s.
func NewClientStreamingClient[Req, Res any](s call.ClientStream) ClientStreamingClient[Req, Res] {
	return ClientStreamingClient[Req, Res]{s}
}

// Send sends one message. io.EOF says that the server has ended the call:
// CloseAndRecv tells how.
func (c ClientStreamingClient[Req, Res]) Send(msg *Req) error { return c.s.Send(msg) }

// CloseAndRecv half-closes and waits for the answer.
func (c ClientStreamingClient[Req, Res]) CloseAndRecv() (*Res, error) {
	if err := c.s.CloseSend(); err != nil {
		return nil, err
	}
	return recvOnly[Res](c.s)
}

// Header waits for the response headers and returns them.
func (c ClientStreamingClient[Req, Res]) Header() (metadata.MD, error) { return c.s.Header() }

// Trailer returns the trailers; they are there once CloseAndRecv has returned.
func (c ClientStreamingClient[Req, Res]) Trailer() metadata.MD { return c.s.Trailer() }

// Close releases the stream, cancelling the call if it has not ended.
func (c ClientStreamingClient[Req, Res]) Close() error { return c.s.Close() }

// BidiStreamingClient is the caller's side of a bidi-streaming call. One
// goroutine may send while another receives.
//
// The stream holds resources of the connection until it ends: receive to its
// end, break out of All, call Close, or cancel the call's context.
type BidiStreamingClient[Req, Res any] struct{ s call.ClientStream }

// NewBidiStreamingClient gives types to the messages of s.
func NewBidiStreamingClient[Req, Res any](s call.ClientStream) BidiStreamingClient[Req, Res] {
	return BidiStreamingClient[Req, Res]{s}
}

// Send sends one message. io.EOF says that the server has ended the call: Recv tells how.
func (c BidiStreamingClient[Req, Res]) Send(msg *Req) error { return c.s.Send(msg) }

// CloseSend half-closes: the server's Recv returns io.EOF after the last message.
func (c BidiStreamingClient[Req, Res]) CloseSend() error { return c.s.CloseSend() }

// Recv returns the next message, io.EOF at the clean end of the stream, or the call's error.
func (c BidiStreamingClient[Req, Res]) Recv() (*Res, error) { return recv[Res](c.s) }

// All ranges over the received messages as ServerStreamingClient.All does.
func (c BidiStreamingClient[Req, Res]) All() iter.Seq2[*Res, error] { return all[Res](c.s) }

// Header waits for the response headers and returns them.
func (c BidiStreamingClient[Req, Res]) Header() (metadata.MD, error) { return c.s.Header() }

// Trailer returns the trailers; they are there once Recv has returned an error.
func (c BidiStreamingClient[Req, Res]) Trailer() metadata.MD { return c.s.Trailer() }

// Close releases the stream, cancelling the call if it has not ended.
func (c BidiStreamingClient[Req, Res]) Close() error { return c.s.Close() }

// ServerStreamingServer is the handler's side of a server-streaming call.
type ServerStreamingServer[Res any] struct{ s call.ServerStream }

// NewServerStreamingServer gives types to the messages of s. Tests use it to
// call a handler without a server.
func NewServerStreamingServer[Res any](s call.ServerStream) ServerStreamingServer[Res] {
	return ServerStreamingServer[Res]{s}
}

// Send sends one message; it waits while the flow-control window is used up.
func (s ServerStreamingServer[Res]) Send(msg *Res) error { return s.s.Send(msg) }

// ClientStreamingServer is the handler's side of a client-streaming call.
type ClientStreamingServer[Req any] struct{ s call.ServerStream }

// NewClientStreamingServer gives types to the messages of s.
func NewClientStreamingServer[Req any](s call.ServerStream) ClientStreamingServer[Req] {
	return ClientStreamingServer[Req]{s}
}

// Recv returns the next message, or io.EOF after the caller's last one.
func (s ClientStreamingServer[Req]) Recv() (*Req, error) { return recv[Req](s.s) }

// All ranges over the messages until the caller half-closes. An error ends it
// and is yielded last, with a nil message. Breaking out of the loop leaves the
// rest unread.
func (s ClientStreamingServer[Req]) All() iter.Seq2[*Req, error] { return all[Req](s.s) }

// BidiStreamingServer is the handler's side of a bidi-streaming call. One
// goroutine may send while another receives.
type BidiStreamingServer[Req, Res any] struct{ s call.ServerStream }

// NewBidiStreamingServer gives types to the messages of s.
func NewBidiStreamingServer[Req, Res any](s call.ServerStream) BidiStreamingServer[Req, Res] {
	return BidiStreamingServer[Req, Res]{s}
}

// Send sends one message; it waits while the flow-control window is used up.
func (s BidiStreamingServer[Req, Res]) Send(msg *Res) error { return s.s.Send(msg) }

// Recv returns the next message, or io.EOF after the caller's last one.
func (s BidiStreamingServer[Req, Res]) Recv() (*Req, error) { return recv[Req](s.s) }

// All ranges over the messages as ClientStreamingServer.All does.
func (s BidiStreamingServer[Req, Res]) All() iter.Seq2[*Req, error] { return all[Req](s.s) }

// receiver is what both sides' streams have in common.
type receiver interface{ Recv(msg any) error }

func recv[M any](r receiver) (*M, error) {
	msg := new(M)
	if err := r.Recv(msg); err != nil {
		return nil, err
	}
	return msg, nil
}

// recvOnly receives the single response of a call and its clean end.
func recvOnly[M any](s call.ClientStream) (*M, error) {
	msg := new(M)
	switch err := s.Recv(msg); err {
	case nil:
	case io.EOF:
		return nil, status.New(status.Internal, "the server ended the call without a response")
	default:
		return nil, err
	}
	switch err := s.Recv(new(M)); err {
	case io.EOF:
		return msg, nil
	case nil:
		s.Close()
		return nil, status.New(status.Internal, "the server sent more than one response")
	default:
		return nil, err
	}
}

func all[M any](r receiver) iter.Seq2[*M, error] {
	return func(yield func(*M, error) bool) {
		for {
			msg, err := recv[M](r)
			if err == io.EOF {
				return
			}
			if !yield(msg, err) && err == nil {
				if c, ok := r.(io.Closer); ok {
					c.Close()
				}
				return
			}
			if err != nil {
				return
			}
		}
	}
}
