// Package service implements the suite's service: it tells the caller what it
// received and answers what the request asks for.
package service

import (
	"context"
	"errors"
	"io"
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
	payload     = conformancev1.ConformancePayload
	requestInfo = conformancev1.ConformancePayload_RequestInfo
)

// Service is the suite's service. Its method Unimplemented is not implemented.
type Service struct {
	conformancev1rpcx.UnimplementedConformanceServiceServer
}

// Unary implements the service.
func (Service) Unary(ctx context.Context, req *conformancev1.UnaryRequest) (*conformancev1.UnaryResponse, error) {
	p, err := single(ctx, req.GetResponseDefinition(), req)
	if err != nil {
		return nil, err
	}
	return &conformancev1.UnaryResponse{Payload: p}, nil
}

// IdempotentUnary implements the service.
func (Service) IdempotentUnary(ctx context.Context, req *conformancev1.IdempotentUnaryRequest) (*conformancev1.IdempotentUnaryResponse, error) {
	p, err := single(ctx, req.GetResponseDefinition(), req)
	if err != nil {
		return nil, err
	}
	return &conformancev1.IdempotentUnaryResponse{Payload: p}, nil
}

// ClientStream implements the service. The first request says what to answer.
func (Service) ClientStream(ctx context.Context, stream rpcx.ClientStreamingServer[conformancev1.ClientStreamRequest]) (*conformancev1.ClientStreamResponse, error) {
	var requests []proto.Message
	var def *conformancev1.UnaryResponseDefinition
	for req, err := range stream.All() {
		if err != nil {
			return nil, err
		}
		if len(requests) == 0 {
			def = req.GetResponseDefinition()
		}
		requests = append(requests, req)
	}
	p, err := single(ctx, def, requests...)
	if err != nil {
		return nil, err
	}
	return &conformancev1.ClientStreamResponse{Payload: p}, nil
}

// ServerStream implements the service.
func (Service) ServerStream(ctx context.Context, req *conformancev1.ServerStreamRequest, stream rpcx.ServerStreamingServer[conformancev1.ServerStreamResponse]) error {
	a := answers{ctx: ctx, send: func(p *payload) error {
		return stream.Send(&conformancev1.ServerStreamResponse{Payload: p})
	}}
	if err := a.begin(req.GetResponseDefinition()); err != nil {
		return err
	}
	return a.rest(req)
}

// BidiStream implements the service. The first request says what to answer, and
// whether each request is answered as it comes or all of them in the end.
func (Service) BidiStream(ctx context.Context, stream rpcx.BidiStreamingServer[conformancev1.BidiStreamRequest, conformancev1.BidiStreamResponse]) error {
	a := answers{ctx: ctx, send: func(p *payload) error {
		return stream.Send(&conformancev1.BidiStreamResponse{Payload: p})
	}}
	var requests []proto.Message // since the last answer
	var def *conformancev1.StreamResponseDefinition
	fullDuplex := false
	for first := true; ; first = false {
		req, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		requests = append(requests, req)
		if first {
			def, fullDuplex = req.GetResponseDefinition(), req.GetFullDuplex()
			if fullDuplex {
				if err := a.begin(def); err != nil {
					return err
				}
			}
		}
		if !fullDuplex {
			continue
		}
		if !a.more() {
			break
		}
		if err := a.next(requests...); err != nil {
			return err
		}
		requests = nil
	}
	if !fullDuplex {
		if err := a.begin(def); err != nil {
			return err
		}
	}
	return a.rest(requests...)
}

// single returns the single answer of a call, or its error.
func single(ctx context.Context, def *conformancev1.UnaryResponseDefinition, requests ...proto.Message) (*payload, error) {
	info, err := received(ctx, requests)
	if err != nil {
		return nil, err
	}
	if err := setMetadata(ctx, def.GetResponseHeaders(), def.GetResponseTrailers()); err != nil {
		return nil, err
	}
	if err := wait(ctx, def.GetResponseDelayMs()); err != nil {
		return nil, err
	}
	if e := def.GetError(); e != nil {
		return nil, compat.Status(e, info)
	}
	return &payload{Data: def.GetResponseData(), RequestInfo: info}, nil
}

// received returns what the caller is told about its requests.
func received(ctx context.Context, requests []proto.Message) (*requestInfo, error) {
	info, err := echoed(requests)
	if err != nil {
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	info.RequestHeaders = compat.Headers(md)
	if deadline, ok := ctx.Deadline(); ok {
		info.TimeoutMs = proto.Int64(time.Until(deadline).Milliseconds())
	}
	return info, nil
}

// echoed is received without what belongs to the call as a whole.
func echoed(requests []proto.Message) (*requestInfo, error) {
	info := new(requestInfo)
	for _, req := range requests {
		packed, err := anypb.New(req)
		if err != nil {
			return nil, err
		}
		info.Requests = append(info.Requests, packed)
	}
	return info, nil
}

func setMetadata(ctx context.Context, headers, trailers []*conformancev1.Header) error {
	header, err := compat.Metadata(headers)
	if err != nil {
		return err
	}
	trailer, err := compat.Metadata(trailers)
	if err != nil {
		return err
	}
	if err := rpcx.SetHeader(ctx, header); err != nil {
		return err
	}
	return rpcx.SetTrailer(ctx, trailer)
}

// late is how long a handler goes on after its deadline. The caller's deadline is
// at the same time, and the suite's client, which gives up then, finds fault with
// an answer of which one half has come before.
const late = 50 * time.Millisecond

// wait waits for ms milliseconds or until the call is over.
func wait(ctx context.Context, ms uint32) error {
	if ms == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		time.Sleep(late)
	}
	return ctx.Err()
}
