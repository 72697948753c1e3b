// Package suite is grpc-go's interoperability suite in terms of this module: the
// service that its client calls, and the cases that call its server. The suite's
// description is in grpc's doc/interop-test-descriptions.md.
package suite

import (
	"context"
	"time"

	testpb "github.com/rpcx-go/rpcx/interop/gen"
	"github.com/rpcx-go/rpcx/interop/gen/testpbrpcx"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Metadata that servers send back, the first as header, the second as trailer.
const (
	echoInitial  = "x-grpc-test-echo-initial"
	echoTrailing = "x-grpc-test-echo-trailing-bin"
)

// Service implements testpbrpcx.TestServiceServer.
type Service struct {
	testpbrpcx.UnimplementedTestServiceServer
}

// EmptyCall answers nothing with nothing.
func (Service) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

// UnaryCall answers with as many bytes as are asked for, or with a status.
func (Service) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if err := echoMetadata(ctx); err != nil {
		return nil, err
	}
	if err := wanted(req.GetResponseStatus()); err != nil {
		return nil, err
	}
	body, err := payload(req.GetResponseType(), req.GetResponseSize())
	return &testpb.SimpleResponse{Payload: body}, err
}

// StreamingOutputCall sends messages of the sizes that are asked for.
func (Service) StreamingOutputCall(ctx context.Context, req *testpb.StreamingOutputCallRequest, stream rpcx.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return send(ctx, req, stream.Send)
}

// StreamingInputCall adds up what it receives.
func (Service) StreamingInputCall(_ context.Context, stream rpcx.ClientStreamingServer[testpb.StreamingInputCallRequest]) (*testpb.StreamingInputCallResponse, error) {
	sum := 0
	for req, err := range stream.All() {
		if err != nil {
			return nil, err
		}
		sum += len(req.GetPayload().GetBody())
	}
	return &testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)}, nil
}

// FullDuplexCall answers each request as it comes.
func (Service) FullDuplexCall(ctx context.Context, stream rpcx.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	if err := echoMetadata(ctx); err != nil {
		return err
	}
	for req, err := range stream.All() {
		if err != nil {
			return err
		}
		if err := wanted(req.GetResponseStatus()); err != nil {
			return err
		}
		if err := send(ctx, req, stream.Send); err != nil {
			return err
		}
	}
	return nil
}

// HalfDuplexCall answers the requests once all have come.
func (Service) HalfDuplexCall(ctx context.Context, stream rpcx.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	var all []*testpb.StreamingOutputCallRequest
	for req, err := range stream.All() {
		if err != nil {
			return err
		}
		all = append(all, req)
	}
	for _, req := range all {
		if err := send(ctx, req, stream.Send); err != nil {
			return err
		}
	}
	return nil
}

// send sends what req asks for.
func send(ctx context.Context, req *testpb.StreamingOutputCallRequest, send func(*testpb.StreamingOutputCallResponse) error) error {
	for _, p := range req.GetResponseParameters() {
		select {
		case <-time.After(time.Duration(p.GetIntervalUs()) * time.Microsecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		body, err := payload(req.GetResponseType(), p.GetSize())
		if err != nil {
			return err
		}
		if err := send(&testpb.StreamingOutputCallResponse{Payload: body}); err != nil {
			return err
		}
	}
	return nil
}

// echoMetadata sends back what the caller wants to see again.
func echoMetadata(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if md.Has(echoInitial) {
		if err := rpcx.SendHeader(ctx, metadata.Pairs(echoInitial, md.Get(echoInitial))); err != nil {
			return err
		}
	}
	if md.Has(echoTrailing) {
		return rpcx.SetTrailer(ctx, metadata.Pairs(echoTrailing, md.Get(echoTrailing)))
	}
	return nil
}

// wanted returns the error that the caller asks for.
func wanted(s *testpb.EchoStatus) error {
	if s.GetCode() == 0 {
		return nil
	}
	return status.New(status.Code(s.GetCode()), s.GetMessage())
}

// payload returns a payload of zeros.
func payload(kind testpb.PayloadType, size int32) (*testpb.Payload, error) {
	if size < 0 || kind != testpb.PayloadType_COMPRESSABLE {
		return nil, status.Errorf(status.InvalidArgument, "no payload of %d bytes and type %v", size, kind)
	}
	return &testpb.Payload{Type: kind, Body: make([]byte, size)}, nil
}
