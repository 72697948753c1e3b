package suite

import (
	"context"
	"fmt"
	"io"
	"time"

	testpb "github.com/rpcx-go/rpcx/interop/gen"
	"github.com/rpcx-go/rpcx/interop/gen/testpbrpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Case is a test case of the suite.
type Case struct {
	Name string
	// Run runs it against the server of a connection.
	Run func(ctx context.Context, conn *rpcx.Conn) error
}

// Cases are those of the suite that need nothing but a server.
var Cases = []Case{
	{"empty_unary", on(emptyUnary)},
	{"large_unary", on(largeUnary)},
	{"client_streaming", on(clientStreaming)},
	{"server_streaming", on(serverStreaming)},
	{"ping_pong", on(pingPong)},
	{"empty_stream", on(emptyStream)},
	{"timeout_on_sleeping_server", on(timeoutOnSleepingServer)},
	{"cancel_after_begin", on(cancelAfterBegin)},
	{"cancel_after_first_response", on(cancelAfterFirstResponse)},
	{"status_code_and_message", on(statusCodeAndMessage)},
	{"special_status_message", on(specialStatusMessage)},
	{"custom_metadata", on(customMetadata)},
	{"unimplemented_method", on(unimplementedMethod)},
	{"unimplemented_service", unimplementedService},
}

type client = testpbrpcx.TestServiceClient

// on returns what runs f on the test service of a connection.
func on(f func(context.Context, client) error) func(context.Context, *rpcx.Conn) error {
	return func(ctx context.Context, conn *rpcx.Conn) error {
		return f(ctx, testpbrpcx.NewTestServiceClient(conn))
	}
}

// The sizes that the suite has for messages of streams.
var (
	requestSizes  = []int{27182, 8, 1828, 45904}
	responseSizes = []int{31415, 9, 2653, 58979}
)

// zeros returns a payload.
func zeros(size int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, size)} }

// check returns an error if a payload is not what was asked for.
func check(p *testpb.Payload, size int) error {
	if p.GetType() != testpb.PayloadType_COMPRESSABLE || len(p.GetBody()) != size {
		return fmt.Errorf("got a payload of %d bytes and type %v, want %d", len(p.GetBody()), p.GetType(), size)
	}
	return nil
}

// asking returns a request for a message of each size.
func asking(body *testpb.Payload, sizes ...int) *testpb.StreamingOutputCallRequest {
	req := &testpb.StreamingOutputCallRequest{Payload: body}
	for _, size := range sizes {
		req.ResponseParameters = append(req.ResponseParameters, &testpb.ResponseParameters{Size: int32(size)})
	}
	return req
}

// wantCode returns an error if err has not the code.
func wantCode(err error, code status.Code) error {
	if status.CodeOf(err) != code {
		return fmt.Errorf("got %w, want %v", err, code)
	}
	return nil
}

// wantEnd returns an error if err is not the end of a stream.
func wantEnd(err error) error {
	if err != io.EOF {
		return fmt.Errorf("got %w, want the end of the stream", err)
	}
	return nil
}

func emptyUnary(ctx context.Context, c client) error {
	_, err := c.EmptyCall(ctx, &testpb.Empty{})
	return err
}

func largeUnary(ctx context.Context, c client) error {
	res, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 314159, Payload: zeros(271828)})
	if err != nil {
		return err
	}
	return check(res.GetPayload(), 314159)
}

func clientStreaming(ctx context.Context, c client) error {
	stream, err := c.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	sum := 0
	for _, size := range requestSizes {
		if err := stream.Send(&testpb.StreamingInputCallRequest{Payload: zeros(size)}); err != nil {
			return err
		}
		sum += size
	}
	res, err := stream.CloseAndRecv()
	if err == nil && int(res.GetAggregatedPayloadSize()) != sum {
		return fmt.Errorf("the server received %d bytes, want %d", res.GetAggregatedPayloadSize(), sum)
	}
	return err
}

func serverStreaming(ctx context.Context, c client) error {
	stream, err := c.StreamingOutputCall(ctx, asking(nil, responseSizes...))
	if err != nil {
		return err
	}
	defer stream.Close()
	for _, size := range responseSizes {
		res, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := check(res.GetPayload(), size); err != nil {
			return err
		}
	}
	_, err = stream.Recv()
	return wantEnd(err)
}

func pingPong(ctx context.Context, c client) error {
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	for i, size := range responseSizes {
		if err := stream.Send(asking(zeros(requestSizes[i]), size)); err != nil {
			return err
		}
		res, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := check(res.GetPayload(), size); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()
	return wantEnd(err)
}

func emptyStream(ctx context.Context, c client) error {
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()
	return wantEnd(err)
}

func timeoutOnSleepingServer(ctx context.Context, c client) error {
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return wantCode(err, status.DeadlineExceeded)
	}
	defer stream.Close()
	_ = stream.Send(asking(zeros(27182))) // what is wrong with it is said by Recv
	_, err = stream.Recv()
	return wantCode(err, status.DeadlineExceeded)
}
