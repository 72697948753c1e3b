package rpcxconnect

import (
	"context"
	"io"
	"sync/atomic"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Register has srv serve the methods of server, in all protocols that srv speaks.
// It serves those that have been registered by then; a handler for unknown methods
// is not asked. It panics if a method has no protobuf schema or is served already.
//
// Handlers see the call as connect shows it: connect.CallInfo with its headers,
// Protocol "rpcx" or that of HTTP, and without sizes of messages. The context is
// that of the runtime, too. Interceptors of both apply, those of srv outside. As
// with connect, callers see the text of an error only if it is a *connect.Error
// that did not come from another server, or a *status.Error.
func Register(srv rpcx.Registrar, server *connect.Server) {
	for spec := range server.Specs() {
		m, err := methodOf(spec)
		if err != nil {
			panic(err)
		}
		h := handler{server: server, spec: spec, method: m}
		if m.Kind() == call.KindUnary {
			srv.Register(call.Handler{Method: m, Unary: h.unary})
		} else {
			srv.Register(call.Handler{Method: m, Stream: h.stream})
		}
	}
}

// handler answers the calls of one method.
type handler struct {
	server *connect.Server
	spec   connect.Spec
	method *call.Method
}

// info describes a call.
func (h *handler) info(ctx context.Context) *connect.CallInfo {
	info := &connect.CallInfo{
		Spec: h.spec, Codec: connect.CodecNameProto,
		RequestEncoding: connect.CompressionNameIdentity, ResponseEncoding: connect.CompressionNameIdentity,
	}
	if p, ok := rpcx.PeerFromContext(ctx); ok {
		info.Protocol = p.Protocol
		if p.Addr != nil {
			info.PeerAddr = p.Addr.String()
		}
	}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		toHeader(info.RequestHeader(), md)
	}
	return info
}

// answered hands over the metadata of an answer.
func answered(ctx context.Context, h *connect.Header, set func(context.Context, metadata.MD) error) error {
	md, err := toMetadata(h)
	if err != nil {
		return status.Errorf(status.Internal, "response: %w", err)
	}
	if len(md) == 0 {
		return nil
	}
	return set(ctx, md)
}

// unary answers a unary call.
func (h *handler) unary(ctx context.Context, req any) (any, error) {
	info := h.info(ctx)
	s := &unaryServer{req: req}
	err := fromConnect(h.server.Call(ctx, h.spec.Procedure, info, s))
	for _, add := range []error{
		answered(ctx, info.ResponseHeader(), rpcx.SetHeader),
		answered(ctx, info.ResponseTrailer(), rpcx.SetTrailer),
	} {
		if err == nil {
			err = add
		}
	}
	switch {
	case err != nil:
		return nil, err
	case s.res == nil:
		return nil, status.Errorf(status.Internal, "handler of %s returned neither a response nor an error", h.spec.Procedure)
	}
	return s.res, nil
}

// unaryServer is the handler's side of a unary call.
type unaryServer struct{ req, res any }

func (s *unaryServer) Receive(msg any) error {
	if s.req == nil {
		return io.EOF
	}
	req := s.req
	s.req = nil
	if err := fill(msg, req); err != nil {
		return toConnect(err)
	}
	return nil
}

func (s *unaryServer) SendHeaders() error { return nil } // they go with the answer

func (s *unaryServer) Send(msg any) error {
	if s.res != nil {
		return connect.NewError(connect.CodeInternal, "a unary call has one answer")
	}
	s.res = msg
	return nil
}

// stream answers a call that streams.
func (h *handler) stream(ctx context.Context, stream call.ServerStream) error {
	info := h.info(ctx)
	s := &streamServer{ctx: ctx, stream: stream, info: info}
	err := fromConnect(h.server.Call(ctx, h.spec.Procedure, info, s))
	if e := s.headers(); err == nil {
		err = e
	}
	if e := answered(ctx, info.ResponseTrailer(), rpcx.SetTrailer); err == nil {
		err = e
	}
	return err
}

// streamServer is the handler's side of a call that streams.
type streamServer struct {
	ctx    context.Context
	stream call.ServerStream
	info   *connect.CallInfo

	headed atomic.Bool // the headers are handed over
}

// headers hands over the headers, once.
func (s *streamServer) headers() error {
	if s.headed.Swap(true) {
		return nil
	}
	return answered(s.ctx, s.info.ResponseHeader(), rpcx.SetHeader)
}

func (s *streamServer) Receive(msg any) error {
	reset(msg)
	switch err := s.stream.Recv(msg); err {
	case nil, io.EOF:
		return err
	default:
		return toConnect(err)
	}
}

func (s *streamServer) SendHeaders() error {
	if s.headed.Load() {
		return nil // by an earlier use, or by the first message
	}
	err := s.headers()
	if err == nil {
		err = rpcx.SendHeader(s.ctx, nil)
	}
	if err != nil {
		return toConnect(err)
	}
	return nil
}

func (s *streamServer) Send(msg any) error {
	if err := s.headers(); err != nil {
		return toConnect(err)
	}
	if err := s.stream.Send(msg); err != nil {
		return toConnect(err)
	}
	return nil
}
