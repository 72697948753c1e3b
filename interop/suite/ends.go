package suite

import (
	"context"
	"fmt"

	testpb "github.com/rpcx-go/rpcx/interop/gen"
	"github.com/rpcx-go/rpcx/interop/gen/testpbrpcx"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// The cases about how calls end, and what goes beside their messages.

func cancelAfterBegin(ctx context.Context, c client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.StreamingInputCall(ctx, rpcx.WithMetadata(metadata.Pairs("key1", "value1", "key2", "value2")))
	if err != nil {
		return err
	}
	defer stream.Close()
	cancel()
	_, err = stream.CloseAndRecv()
	return wantCode(err, status.Canceled)
}

func cancelAfterFirstResponse(ctx context.Context, c client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.Send(asking(zeros(27182), 31415)); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	cancel()
	_, err = stream.Recv()
	return wantCode(err, status.Canceled)
}

// wantStatus returns an error if err is not the one that was asked for.
func wantStatus(err error, s *testpb.EchoStatus) error {
	if e := status.FromError(err); e.Code() != status.Code(s.GetCode()) || e.Message() != s.GetMessage() {
		return fmt.Errorf("got %w, want code %d and %q", err, s.GetCode(), s.GetMessage())
	}
	return nil
}

func statusCodeAndMessage(ctx context.Context, c client) error {
	s := &testpb.EchoStatus{Code: int32(status.Unknown), Message: "test status message"}
	_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: s})
	if err := wantStatus(err, s); err != nil {
		return err
	}
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: s}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()
	return wantStatus(err, s)
}

func specialStatusMessage(ctx context.Context, c client) error {
	s := &testpb.EchoStatus{
		Code:    int32(status.Unknown),
		Message: "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n",
	}
	_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: s})
	return wantStatus(err, s)
}

func customMetadata(ctx context.Context, c client) error {
	const initial, trailing = "test_initial_metadata_value", "\xab\xab\xab"
	md := rpcx.WithMetadata(metadata.Pairs(echoInitial, initial, echoTrailing, trailing))
	want := func(header, trailer metadata.MD) error {
		if got := header.Values(echoInitial); len(got) != 1 || got[0] != initial {
			return fmt.Errorf("got the header %q", got)
		}
		if got := trailer.Values(echoTrailing); len(got) != 1 || got[0] != trailing {
			return fmt.Errorf("got the trailer %q", got)
		}
		return nil
	}

	var header, trailer metadata.MD
	res, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 314159, Payload: zeros(271828)}, md, rpcx.Header(&header), rpcx.Trailer(&trailer))
	if err != nil {
		return err
	}
	if err := check(res.GetPayload(), 314159); err != nil {
		return err
	}
	if err := want(header, trailer); err != nil {
		return fmt.Errorf("unary: %w", err)
	}

	stream, err := c.FullDuplexCall(ctx, md)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.Send(asking(zeros(271828), 314159)); err != nil {
		return err
	}
	header, err = stream.Header()
	if err != nil {
		return err
	}
	res2, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := check(res2.GetPayload(), 314159); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err = stream.Recv(); wantEnd(err) != nil {
		return wantEnd(err)
	}
	if err := want(header, stream.Trailer()); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return nil
}

func unimplementedMethod(ctx context.Context, c client) error {
	_, err := c.UnimplementedCall(ctx, &testpb.Empty{})
	return wantCode(err, status.Unimplemented)
}

func unimplementedService(ctx context.Context, conn *rpcx.Conn) error {
	_, err := testpbrpcx.NewUnimplementedServiceClient(conn).UnimplementedCall(ctx, &testpb.Empty{})
	return wantCode(err, status.Unimplemented)
}
