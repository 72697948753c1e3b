package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rpcx-go/rpcx/conformance/compat"
	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/conformance/gen/conformancev1rpcx"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

type (
	request = conformancev1.ClientCompatRequest
	result  = conformancev1.ClientResponseResult
	payload = conformancev1.ConformancePayload
	stub    = conformancev1rpcx.ConformanceServiceClient
)

// makeCall makes a call and returns how it ended; an error says that it could not
// be made.
func makeCall(ctx context.Context, c stub, req *request) (*result, error) {
	if req.GetService() != conformancev1rpcx.ConformanceServiceName {
		return nil, fmt.Errorf("no service %s", req.GetService())
	}
	md, err := compat.Metadata(req.GetRequestHeaders())
	if err != nil {
		return nil, err
	}
	ctx = metadata.NewOutgoingContext(ctx, md)
	if req.TimeoutMs != nil {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, milliseconds(req.GetTimeoutMs()))
		defer stop()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	when := timingOf(req)
	switch req.GetMethod() {
	case "Unary":
		return unary(ctx, cancel, when, req, c.Unary, (*conformancev1.UnaryResponse).GetPayload)
	case "IdempotentUnary":
		return unary(ctx, cancel, when, req, c.IdempotentUnary, (*conformancev1.IdempotentUnaryResponse).GetPayload)
	case "Unimplemented":
		return unary(ctx, cancel, when, req, c.Unimplemented, func(*conformancev1.UnimplementedResponse) *payload { return nil })
	case "ServerStream":
		return serverStream(ctx, cancel, when, req, c)
	case "ClientStream":
		return clientStream(ctx, cancel, when, req, c)
	case "BidiStream":
		return bidiStream(ctx, cancel, when, req, c)
	}
	return nil, fmt.Errorf("no method %s", req.GetMethod())
}

// timing says when to give up a call; a negative number means never.
type timing struct {
	beforeCloseSend bool
	afterCloseSend  time.Duration
	afterResponses  int
}

func timingOf(req *request) timing {
	t := timing{afterCloseSend: -1, afterResponses: -1}
	switch when := req.GetCancel().GetCancelTiming().(type) {
	case *conformancev1.ClientCompatRequest_Cancel_BeforeCloseSend:
		t.beforeCloseSend = true
	case *conformancev1.ClientCompatRequest_Cancel_AfterCloseSendMs:
		t.afterCloseSend = milliseconds(when.AfterCloseSendMs)
	case *conformancev1.ClientCompatRequest_Cancel_AfterNumResponses:
		t.afterResponses = int(when.AfterNumResponses)
	default:
		if req.GetCancel() != nil {
			t.afterCloseSend = 0
		}
	}
	return t
}

func milliseconds(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// message is a pointer to a message of type M.
type message[M any] interface {
	*M
	proto.Message
}

// unpack returns a request message.
func unpack[M any, P message[M]](packed *anypb.Any) (*M, error) {
	msg := new(M)
	return msg, packed.UnmarshalTo(P(msg))
}

// only returns the request message of a call that has one.
func only[M any, P message[M]](req *request) (*M, error) {
	if n := len(req.GetRequestMessages()); n != 1 {
		return nil, fmt.Errorf("%s takes one request, not %d", req.GetMethod(), n)
	}
	return unpack[M, P](req.GetRequestMessages()[0])
}

func unary[Req, Res any, P message[Req]](ctx context.Context, cancel func(), when timing, req *request,
	call func(context.Context, *Req, ...rpcx.CallOption) (*Res, error), payloadOf func(*Res) *payload) (*result, error) {
	msg, err := only[Req, P](req)
	if err != nil {
		return nil, err
	}
	if when.afterCloseSend >= 0 {
		defer time.AfterFunc(when.afterCloseSend, cancel).Stop()
	}
	var header, trailer metadata.MD
	res, err := call(ctx, msg, rpcx.Header(&header), rpcx.Trailer(&trailer))
	r := &result{Error: compat.Error(err), ResponseHeaders: compat.Headers(header), ResponseTrailers: compat.Headers(trailer)}
	if err == nil {
		r.Payloads = []*payload{payloadOf(res)}
	}
	return r, nil
}
