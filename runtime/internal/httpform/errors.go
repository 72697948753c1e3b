package httpform

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Trailers, and headers of unary Connect calls, that say of an error what HTTP
// has no other place for.
const (
	// NotRunKey is "1" if the handler provably did not begin.
	NotRunKey = "Rpcx-Not-Run"
	// PushBackKey is for how many milliseconds the server wants to be left alone,
	// or "never".
	PushBackKey = "Rpcx-Push-Back"
	never       = "never"
	// grpcPushBackKey is what clients of gRPC look for.
	grpcPushBackKey = "Grpc-Retry-Pushback-Ms"
)

// typeURLPrefix stands before the name of a detail's type; HTTP leaves it out.
const typeURLPrefix = "type.googleapis.com/"

// ToConnect returns err as connect sends it.
func ToConnect(err *status.Error) *connect.Error {
	out := connect.NewError(connect.Code(err.Code()), err.Message())
	for _, d := range err.Details() {
		out = out.WithDetail(&connect.ErrorDetail{Type: d.Type[strings.LastIndexByte(d.Type, '/')+1:], Value: d.Value})
	}
	return out
}

// FromConnect returns an error of connect's as one of ours.
func FromConnect(err error) *status.Error {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return status.FromError(err)
	}
	out := status.New(status.Code(ce.Code()), ce.Message()).WithCause(err)
	for _, d := range ce.Details() {
		out = out.WithRawDetails(status.Detail{Type: typeURLPrefix + d.Type, Value: d.Value})
	}
	return out
}

// AddAdvice says in trailers whether the call may have run and when it may be
// sent again.
func AddAdvice(trailer *connect.Header, err *status.Error) {
	if err.NotRun() {
		trailer.Set(NotRunKey, "1")
	}
	if err.DoNotRetry() {
		trailer.Set(PushBackKey, never)
		trailer.Set(grpcPushBackKey, "-1")
	} else if after, ok := err.RetryAfter(); ok {
		ms := strconv.FormatInt(int64((after+time.Millisecond-1)/time.Millisecond), 10)
		trailer.Set(PushBackKey, ms)
		trailer.Set(grpcPushBackKey, ms)
	}
}

// TakeAdvice adds to err what trailers say of it; it undoes AddAdvice. What
// gRPC's servers say counts, too.
func TakeAdvice(trailer *connect.Header, err *status.Error) *status.Error {
	if trailer.Get(NotRunKey) == "1" {
		err = err.WithNotRun()
	}
	said := trailer.Get(PushBackKey)
	if said == "" {
		said = trailer.Get(grpcPushBackKey)
	}
	if said == "" {
		return err
	}
	ms, bad := strconv.ParseInt(said, 10, 32)
	if bad != nil || ms < 0 { // never, or what nobody understands
		return err.WithDoNotRetry()
	}
	return err.WithRetryAfter(time.Duration(ms) * time.Millisecond)
}
