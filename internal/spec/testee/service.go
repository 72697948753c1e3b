package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// msg is the only message of the test service.
type msg = wrapperspb.BytesValue

func text(s string) *msg { return wrapperspb.Bytes([]byte(s)) }

// keys is what handlers that are told apart by a key have done.
type keys struct {
	mu sync.Mutex
	m  map[string]*keyState
}

type keyState struct {
	runs     int
	began    chan struct{} // closed when a handler has begun
	released chan struct{} // closed by Release
	ended    chan struct{} // closed when Wait's context has ended
	cause    string        // why it has
	once     [3]sync.Once
}

func (k *keys) get(key string) *keyState {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.m[key]
	if s == nil {
		s = &keyState{began: make(chan struct{}), released: make(chan struct{}), ended: make(chan struct{})}
		k.m[key] = s
	}
	return s
}

// run notes that a handler has begun and returns how many have.
func (k *keys) run(key string, add int) (*keyState, int) {
	s := k.get(key)
	k.mu.Lock()
	s.runs += add
	n := s.runs
	k.mu.Unlock()
	if add > 0 {
		s.once[0].Do(func() { close(s.began) })
	}
	return s, n
}

// register registers the test service.
func register(srv rpcx.Registrar) {
	k := &keys{m: map[string]*keyState{}}
	unary := func(name string, f func(ctx context.Context, request string) (string, error), change ...func(*rpcx.MethodSpec)) {
		spec := rpcx.MethodSpec{Service: "spec.v1.Spec", Name: name}
		for _, c := range change {
			c(&spec)
		}
		srv.Register(rpcx.UnaryHandler(rpcx.NewMethod[msg, msg](spec), func(ctx context.Context, req *msg) (*msg, error) {
			res, err := f(ctx, string(req.GetValue()))
			if err != nil {
				return nil, err
			}
			return text(res), nil
		}))
	}
	echo := func(_ context.Context, request string) (string, error) { return request, nil }
	unary("Echo", echo)
	unary("Fast", echo, func(s *rpcx.MethodSpec) { s.NonBlocking, s.Idempotency = true, rpcx.NoSideEffects })
	unary("Put", func(_ context.Context, key string) (string, error) { k.run(key, 1); return key, nil })
	unary("Runs", func(_ context.Context, key string) (string, error) {
		_, n := k.run(key, 0)
		return strconv.Itoa(n), nil
	})
	unary("Began", func(ctx context.Context, key string) (string, error) { return key, await(ctx, k.get(key).began) })
	unary("Release", func(_ context.Context, key string) (string, error) {
		s := k.get(key)
		s.once[1].Do(func() { close(s.released) })
		return key, nil
	})
	unary("Ended", func(ctx context.Context, key string) (string, error) {
		s := k.get(key)
		if err := await(ctx, s.ended); err != nil {
			return "", err
		}
		return s.cause, nil
	})
	unary("Wait", k.wait)
	unary("Hold", func(_ context.Context, key string) (string, error) {
		s, _ := k.run(key, 1)
		<-s.released
		return key, nil
	})
	unary("Fail", fail)
	unary("Meta", meta)
	unary("Remaining", func(ctx context.Context, _ string) (string, error) {
		d, ok := ctx.Deadline()
		if !ok {
			return "none", nil
		}
		return strconv.FormatInt(time.Until(d).Milliseconds(), 10), nil
	})
	unary("Panic", func(_ context.Context, secret string) (string, error) { panic(secret) })
	stream := func(name string, kind call.Kind) rpcx.Method[msg, msg] {
		return rpcx.NewMethod[msg, msg](rpcx.MethodSpec{Service: "spec.v1.Spec", Name: name, Kind: kind})
	}
	srv.Register(
		rpcx.ServerStreamHandler(stream("Count", rpcx.ServerStream), count),
		rpcx.ClientStreamHandler(stream("Sum", rpcx.ClientStream), sum),
		rpcx.ClientStreamHandler(stream("Lazy", rpcx.ClientStream), k.lazy),
		rpcx.ClientStreamHandler(stream("Early", rpcx.ClientStream), func(context.Context, rpcx.ClientStreamingServer[msg]) (*msg, error) {
			return text("early"), nil
		}),
		rpcx.BidiStreamHandler(stream("Chat", rpcx.BidiStream), chat),
	)
}

func await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait ends with its context and notes why that has ended.
func (k *keys) wait(ctx context.Context, key string) (string, error) {
	s, _ := k.run(key, 1)
	<-ctx.Done()
	s.once[2].Do(func() {
		s.cause = status.CodeOf(ctx.Err()).String()
		close(s.ended)
	})
	return "", ctx.Err()
}

// fail answers "CODE PUSH-BACK DETAIL MESSAGE" with that status; "-" and 0
// leave a part out.
func fail(_ context.Context, request string) (string, error) {
	parts := strings.SplitN(request, " ", 4)
	if len(parts) < 4 {
		return "", status.Errorf(status.InvalidArgument, "%q has %d parts, not 4", request, len(parts))
	}
	code, err := strconv.Atoi(parts[0])
	if err != nil {
		return "", status.Errorf(status.InvalidArgument, "code: %v", err)
	}
	e := status.New(status.Code(code), parts[3])
	if parts[1] == "never" {
		e = e.WithDoNotRetry()
	} else if ms, err := strconv.Atoi(parts[1]); err == nil && ms > 0 {
		e = e.WithRetryAfter(time.Duration(ms) * time.Millisecond)
	}
	if parts[2] != "-" {
		if e, err = e.WithDetails(text(parts[2])); err != nil {
			return "", err
		}
	}
	return "", e
}

// meta answers with a line "key=value" for each entry of the request's
// metadata; those whose keys begin with h- are headers, with t- trailers of the
// answer.
func meta(ctx context.Context, _ string) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	var lines strings.Builder
	for _, e := range md {
		fmt.Fprintf(&lines, "%s=%s\n", e.Key, e.Value)
		set := rpcx.SetHeader
		if strings.HasPrefix(e.Key, "t-") {
			set = rpcx.SetTrailer
		}
		if strings.HasPrefix(e.Key, "h-") || strings.HasPrefix(e.Key, "t-") {
			if err := set(ctx, metadata.Pairs(e.Key, e.Value)); err != nil {
				return "", err
			}
		}
	}
	return lines.String(), nil
}

// count answers "N SIZE [CODE]" with N messages of SIZE bytes, and ends with
// CODE.
func count(ctx context.Context, req *msg, stream rpcx.ServerStreamingServer[msg]) error {
	var n, size, code int
	if _, err := fmt.Sscan(string(req.GetValue())+" 0", &n, &size, &code); err != nil {
		return status.Errorf(status.InvalidArgument, "%q: %v", req.GetValue(), err)
	}
	if err := rpcx.SetHeader(ctx, metadata.Pairs("h-count", strconv.Itoa(n))); err != nil {
		return err
	}
	for i := range n {
		if err := stream.Send(text(numbered(i, size))); err != nil {
			return err
		}
	}
	if err := rpcx.SetTrailer(ctx, metadata.Pairs("t-count", strconv.Itoa(n))); err != nil {
		return err
	}
	if code != 0 {
		return status.New(status.Code(code), "as asked for")
	}
	return nil
}

// numbered is i, filled up with dots to size bytes.
func numbered(i, size int) string {
	s := strconv.Itoa(i)
	return s + strings.Repeat(".", max(size-len(s), 0))
}

// sum answers "MESSAGES BYTES", how many messages and bytes in them it has got.
func sum(_ context.Context, stream rpcx.ClientStreamingServer[msg]) (*msg, error) {
	n, size := 0, 0
	for m, err := range stream.All() {
		if err != nil {
			return nil, err
		}
		n++
		size += len(m.GetValue())
	}
	return text(fmt.Sprintf("%d %d", n, size)), nil
}

// lazy takes one message, the key, and the others only when that is released;
// then it is sum.
func (k *keys) lazy(ctx context.Context, stream rpcx.ClientStreamingServer[msg]) (*msg, error) {
	m, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	s, _ := k.run(string(m.GetValue()), 1)
	if err := await(ctx, s.released); err != nil {
		return nil, err
	}
	return sum(ctx, stream)
}

// chat answers each message with itself.
func chat(_ context.Context, stream rpcx.BidiStreamingServer[msg, msg]) error {
	for m, err := range stream.All() {
		if err != nil {
			return err
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}
