package rpcxconnect

import (
	"context"
	"errors"
	"io"
	"sync"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// NewTransport returns a transport that makes the calls of connect's clients
// through conn, with its interceptors and options. Make one per Conn.
//
// Headers and trailers go through connect.CallInfo, whose Protocol is "rpcx" and
// whose sizes of messages are not set. Errors are *connect.Error with the code and
// details of the call's error, count as remote, and have the *status.Error as
// their cause. A unary call is made when its answer is received: the request must
// not change until then. Procedures need a protobuf schema.
func NewTransport(conn rpcx.Caller) connect.Transport {
	return &transport{conn: conn}
}

type transport struct {
	conn    rpcx.Caller
	methods sync.Map // the procedure to its *call.Method
}

// NewClientStream implements connect.Transport.
func (t *transport) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	info, ok := connect.CallInfoForClientContext(ctx)
	if !ok {
		ctx, info = connect.NewClientContext(ctx)
	}
	m, err := t.method(spec)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err.Error()).WithCause(err)
	}
	info.Spec, info.Protocol, info.Codec = spec, "rpcx", connect.CodecNameProto
	info.RequestEncoding, info.ResponseEncoding = connect.CompressionNameIdentity, connect.CompressionNameIdentity
	if known, ok := t.conn.(interface{ Target() string }); ok {
		info.PeerAddr = known.Target()
	}
	c := clientCall{ctx: ctx, conn: t.conn, method: m, info: info}
	if m.Kind() == call.KindUnary {
		return &unaryClient{clientCall: c}, nil
	}
	return &streamClient{clientCall: c}, nil
}

func (t *transport) method(spec connect.Spec) (*call.Method, error) {
	type key struct {
		procedure  string
		streamType connect.StreamType
	}
	k := key{spec.Procedure, spec.StreamType}
	if m, ok := t.methods.Load(k); ok {
		return m.(*call.Method), nil
	}
	made, err := methodOf(spec)
	if err != nil {
		return nil, err
	}
	m, _ := t.methods.LoadOrStore(k, made)
	return m.(*call.Method), nil
}

// clientCall is what calls of all kinds have in common.
type clientCall struct {
	ctx    context.Context
	conn   rpcx.Caller
	method *call.Method
	info   *connect.CallInfo
}

// metadata returns what the caller has set.
func (c *clientCall) metadata() (metadata.MD, error) {
	md, err := toMetadata(c.info.RequestHeader())
	if err != nil {
		return nil, status.New(status.InvalidArgument, err.Error()).WithCause(err).WithNotRun()
	}
	return md, nil
}

// failed returns err for the caller.
func (c *clientCall) failed(err error) error {
	httpform.AddAdvice(c.info.ResponseTrailer(), status.FromError(err))
	return toConnect(err).WithRemote()
}

// unaryClient is a unary call.
type unaryClient struct {
	clientCall
	req        any
	sendClosed bool
	received   bool
}

func (c *unaryClient) SendHeaders() error { return nil }

func (c *unaryClient) Send(msg any) error {
	switch {
	case c.sendClosed || c.received:
		return io.EOF
	case c.req != nil:
		return connect.NewError(connect.CodeInternal, "a unary call has one request")
	}
	c.req = msg
	return nil
}

func (c *unaryClient) CloseSend() error {
	c.sendClosed = true
	return nil
}

func (c *unaryClient) Receive(msg any) error {
	switch {
	case c.received:
		return io.EOF
	case c.req == nil:
		return connect.NewError(connect.CodeInternal, "a unary call has one request")
	}
	c.received = true
	md, err := c.metadata()
	if err == nil {
		var header, trailer metadata.MD
		reset(msg)
		err = c.conn.CallUnary(c.ctx, c.method, c.req, msg, rpcx.WithMetadata(md), rpcx.Header(&header), rpcx.Trailer(&trailer))
		toHeader(c.info.ResponseHeader(), header)
		toHeader(c.info.ResponseTrailer(), trailer)
	}
	if err != nil {
		return c.failed(err)
	}
	return nil
}

func (c *unaryClient) Close() error { return nil }

// streamClient is a call that streams. It is opened by the first use.
type streamClient struct {
	clientCall

	mu     sync.Mutex
	stream call.ClientStream // nil until opened
	err    error             // why it could not be
	closed bool

	headed bool // the headers are known; of the goroutine that receives
	single bool // the single answer has been received
}

// open returns the stream. req is the single request, nil if the caller streams.
func (c *streamClient) open(req any) (call.ClientStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stream != nil || c.err != nil:
		return c.stream, c.err
	case c.closed:
		return nil, connect.NewError(connect.CodeCanceled, "the stream is closed")
	case req == nil && !c.method.Kind().CallerStreams():
		return nil, connect.NewError(connect.CodeInternal, "the request has not been sent")
	}
	md, err := c.metadata()
	if err == nil {
		c.stream, err = c.conn.CallStream(c.ctx, c.method, req, rpcx.WithMetadata(md))
	}
	if err != nil {
		c.stream, c.err = nil, c.failed(err)
	}
	return c.stream, c.err
}

func (c *streamClient) SendHeaders() error {
	if !c.method.Kind().CallerStreams() {
		return nil // they go with the request
	}
	_, err := c.open(nil)
	return err
}

func (c *streamClient) Send(msg any) error {
	if !c.method.Kind().CallerStreams() {
		_, err := c.open(msg)
		return err
	}
	s, err := c.open(nil)
	if err != nil {
		return err
	}
	switch err := s.Send(msg); err {
	case nil, io.EOF:
		return err
	default:
		return toConnect(err)
	}
}

func (c *streamClient) CloseSend() error {
	if !c.method.Kind().CallerStreams() {
		return nil
	}
	s, err := c.open(nil)
	if err == nil {
		_ = s.CloseSend() // if it was closed before, it stays so
	}
	return err
}

func (c *streamClient) Receive(msg any) error {
	s, err := c.open(nil)
	if err != nil {
		return err
	}
	if c.single {
		return io.EOF
	}
	reset(msg)
	err = s.Recv(msg)
	if !c.headed {
		c.headed = true
		if md, e := s.Header(); e == nil {
			toHeader(c.info.ResponseHeader(), md)
		}
	}
	if err == nil && c.method.Kind().CalleeStreams() {
		return nil
	}
	if err == nil { // the end of the call comes behind its single answer
		c.single = true
		if err = s.Recv(c.method.NewResponse()); err == nil {
			_ = s.Close()
			return connect.NewError(connect.CodeUnimplemented, "the server sent more than one response")
		}
		if err == io.EOF {
			err = nil
		}
	}
	toHeader(c.info.ResponseTrailer(), s.Trailer())
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return c.failed(err)
}

func (c *streamClient) Close() error {
	c.mu.Lock()
	c.closed = true
	s := c.stream
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.Close()
}
