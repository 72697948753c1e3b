package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// start starts a call of the given kind that handler answers. The stream is
// closed at the end of the test.
func start(t *testing.T, kind call.Kind, handler func(context.Context, call.ServerStream) error) call.ClientStream {
	t.Helper()
	return startWith(t, kind, nil, call.Options{}, handler)
}

func startWith(t *testing.T, kind call.Kind, req any, o call.Options, handler func(context.Context, call.ServerStream) error) call.ClientStream {
	t.Helper()
	m := newMethod(kind)
	s := new(Server)
	s.Register(call.Handler{Method: m, Stream: handler})
	stream, err := s.Stream(t.Context(), m, req, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	return stream
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// receiver is either side of a stream.
type receiver interface{ Recv(any) error }

// receive returns all messages until the stream ends, and the error if that was not clean.
func receive(s receiver) (string, error) {
	var words []string
	for {
		var m text
		if err := s.Recv(&m); err != nil {
			if err == io.EOF {
				err = nil
			}
			return strings.Join(words, " "), err
		}
		words = append(words, m.GetValue())
	}
}

func send(t *testing.T, s interface{ Send(any) error }, words ...string) {
	t.Helper()
	for _, w := range words {
		if err := s.Send(wrapperspb.String(w)); err != nil {
			t.Errorf("Send(%s): %v", w, err)
		}
	}
}

func TestServerStream(t *testing.T) {
	req := wrapperspb.String("a b c")
	stream := startWith(t, call.KindServerStream, req, call.Options{}, func(_ context.Context, s call.ServerStream) error {
		got, err := receive(s)
		send(t, s, strings.Fields(got)...)
		return err
	})
	req.Value = "changed"
	if got, err := receive(stream); got != "a b c" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if err := stream.Recv(new(text)); err != io.EOF {
		t.Errorf("Recv after the end: %v, want EOF", err)
	}
}

func TestClientStream(t *testing.T) {
	stream := start(t, call.KindClientStream, func(_ context.Context, s call.ServerStream) error {
		got, err := receive(s)
		send(t, s, got)
		return err
	})
	send(t, stream, "a", "b", "c")
	noError(t, stream.CloseSend())
	if err := stream.Send(new(text)); err == nil || err == io.EOF {
		t.Errorf("Send after CloseSend: %v, want an error", err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Errorf("second CloseSend: %v", err)
	}
	if got, err := receive(stream); got != "a b c" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
}

func TestBidiStream(t *testing.T) {
	stream := start(t, call.KindBidiStream, func(_ context.Context, s call.ServerStream) error {
		for {
			var m text
			if err := s.Recv(&m); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			send(t, s, m.GetValue()+m.GetValue())
		}
	})
	for _, w := range []string{"a", "b"} {
		msg := wrapperspb.String(w)
		if err := stream.Send(msg); err != nil {
			t.Fatal(err)
		}
		msg.Value = "changed"
		var got text
		if err := stream.Recv(&got); err != nil || got.GetValue() != w+w {
			t.Errorf("received %q, %v", got.GetValue(), err)
		}
	}
	noError(t, stream.CloseSend())
	if got, err := receive(stream); got != "" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
}

// TestSendWaits checks that a stream holds a bounded number of messages, in
// both directions.
func TestSendWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		served := 0
		stream := start(t, call.KindBidiStream, func(ctx context.Context, s call.ServerStream) error {
			for s.Send(new(text)) == nil {
				served++
			}
			return ctx.Err()
		})
		sent := 0
		ended := make(chan error)
		go func() {
			for {
				if err := stream.Send(new(text)); err != nil {
					ended <- err
					return
				}
				sent++
			}
		}()
		synctest.Wait()
		if sent != window || served != window {
			t.Errorf("sent %d and %d messages that nobody received, want %d", sent, served, window)
		}
		noError(t, stream.Recv(new(text)))
		synctest.Wait()
		if served != window+1 {
			t.Errorf("sent %d messages after one was received, want %d", served, window+1)
		}
		stream.Close()
		if err := <-ended; err != io.EOF {
			t.Errorf("Send after Close: %v, want EOF", err)
		}
	})
}

func TestHandlerReturnsEarly(t *testing.T) {
	stream := start(t, call.KindBidiStream, func(_ context.Context, s call.ServerStream) error {
		send(t, s, "one", "two")
		return status.New(status.Aborted, "enough")
	})
	var err error
	for err == nil {
		err = stream.Send(new(text))
	}
	if err != io.EOF {
		t.Errorf("Send: %v, want EOF", err)
	}
	got, err := receive(stream)
	if got != "one two" || status.CodeOf(err) != status.Aborted {
		t.Errorf("received %q, %v; want what was sent, then ABORTED", got, err)
	}
	if err := stream.Recv(new(text)); status.CodeOf(err) != status.Aborted {
		t.Errorf("Recv again: %v", err)
	}
}

// TestCloseEndsHandler checks that a handler which waits is woken by Close and
// has returned when Close does.
func TestCloseEndsHandler(t *testing.T) {
	waits := map[string]func(context.Context, call.ServerStream) error{
		"in Recv": func(_ context.Context, s call.ServerStream) error { return s.Recv(new(text)) },
		"in Send": func(_ context.Context, s call.ServerStream) error {
			for {
				if err := s.Send(new(text)); err != nil {
					return err
				}
			}
		},
		"for its context": func(ctx context.Context, _ call.ServerStream) error { <-ctx.Done(); return ctx.Err() },
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var end error
				stream := start(t, call.KindBidiStream, func(ctx context.Context, s call.ServerStream) error {
					end = wait(ctx, s)
					return end
				})
				synctest.Wait()
				if stream.Trailer() != nil {
					t.Error("there is a trailer before the end")
				}
				stream.Close()
				if end == nil {
					t.Error("Close returned before the handler")
				}
				if err := stream.Recv(new(text)); status.CodeOf(err) != status.Canceled {
					t.Errorf("Recv after Close: %v", err)
				}
				if err := stream.Close(); err != nil {
					t.Errorf("second Close: %v", err)
				}
			})
		})
	}
}

func TestCancelDiscardsUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMethod(call.KindServerStream)
		s := new(Server)
		s.Register(call.Handler{Method: m, Stream: func(ctx context.Context, s call.ServerStream) error {
			send(t, s, "a", "b")
			<-ctx.Done()
			return nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := s.Stream(ctx, m, new(text), call.Options{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		if got, err := receive(stream); got != "" || status.CodeOf(err) != status.Canceled {
			t.Errorf("received %q, %v; want CANCELLED at once", got, err)
		}
	})
}

func TestHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		stream := start(t, call.KindBidiStream, func(ctx context.Context, s call.ServerStream) error {
			r := ctx.Value(call.ResponseKey).(call.ResponseMetadata)
			noError(t, r.SetHeader(metadata.Pairs("h", "1")))
			noError(t, r.SetTrailer(metadata.Pairs("t", "1")))
			<-goOn
			send(t, s, "first") // sends the headers, too
			if err := r.SetHeader(metadata.Pairs("h", "2")); err == nil {
				t.Error("SetHeader after the first message succeeded")
			}
			_, err := receive(s)
			return err
		})
		got := make(chan string)
		go func() {
			md, err := stream.Header()
			got <- fmt.Sprint(md, err)
		}()
		synctest.Wait()
		select {
		case h := <-got:
			t.Fatalf("Header returned %s before the headers were sent", h)
		default:
		}
		close(goOn)
		if h := <-got; h != "[{h 1}] <nil>" {
			t.Errorf("Header returned %s", h)
		}
		if md := stream.Trailer(); md != nil {
			t.Errorf("trailers before the end: %v", md)
		}
		noError(t, stream.CloseSend())
		if got, err := receive(stream); got != "first" || status.CodeOf(err) != status.OK {
			t.Errorf("received %q, %v", got, err)
		}
		if md := stream.Trailer(); md.Get("t") != "1" {
			t.Errorf("trailers are %v", md)
		}
	})
}

func TestHeaderOfFailedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := start(t, call.KindBidiStream, func(context.Context, call.ServerStream) error { return errors.New("x") })
		if md, err := failed.Header(); md != nil || status.CodeOf(err) != status.Unknown {
			t.Errorf("Header of a call that failed: %v, %v", md, err)
		}
		empty := start(t, call.KindBidiStream, func(context.Context, call.ServerStream) error { return nil })
		if md, err := empty.Header(); md != nil || err != nil {
			t.Errorf("Header of a call without headers: %v, %v", md, err)
		}
		waiting := start(t, call.KindBidiStream, func(_ context.Context, s call.ServerStream) error { return s.Recv(new(text)) })
		go func() {
			synctest.Wait()
			waiting.Close()
		}()
		if md, err := waiting.Header(); md != nil || status.CodeOf(err) != status.Canceled {
			t.Errorf("Header of a call that was closed: %v, %v", md, err)
		}
	})
}

// TestBadStreamMessages checks that a message which cannot be carried ends the call.
func TestBadStreamMessages(t *testing.T) {
	echo := func(_ context.Context, s call.ServerStream) error {
		var m text
		if err := s.Recv(&m); err != nil {
			return err
		}
		return s.Send(&m)
	}
	sending := start(t, call.KindBidiStream, echo)
	if err := sending.Send(new(durationpb.Duration)); status.CodeOf(err) != status.Internal {
		t.Errorf("Send: %v", err)
	}
	if err := sending.Recv(new(text)); status.CodeOf(err) != status.Internal {
		t.Errorf("Recv after the failed Send: %v", err)
	}

	receiving := start(t, call.KindBidiStream, echo)
	send(t, receiving, "x")
	if err := receiving.Recv(new(durationpb.Duration)); status.CodeOf(err) != status.Internal {
		t.Errorf("Recv: %v", err)
	}

	answering := start(t, call.KindBidiStream, func(_ context.Context, s call.ServerStream) error {
		return s.Send(new(durationpb.Duration))
	})
	if err := answering.Recv(new(text)); status.CodeOf(err) != status.Internal {
		t.Errorf("Recv of what the handler cannot send: %v", err)
	}

	m := newMethod(call.KindServerStream)
	if _, err := new(Server).Stream(t.Context(), m, "no message", call.Options{}); status.CodeOf(err) != status.Internal {
		t.Errorf("Stream with a bad request: %v", err)
	}
}

// TestUseAfterHandler checks a stream that outlives its handler in a goroutine of the user's.
func TestUseAfterHandler(t *testing.T) {
	var kept call.ServerStream
	stream := start(t, call.KindBidiStream, func(_ context.Context, s call.ServerStream) error {
		kept = s
		return nil
	})
	if got, err := receive(stream); got != "" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if err := kept.Send(new(text)); err != io.EOF {
		t.Errorf("Send: %v, want EOF", err)
	}
	if err := kept.Recv(new(text)); status.CodeOf(err) != status.Canceled {
		t.Errorf("Recv: %v, want CANCELLED", err)
	}
}
