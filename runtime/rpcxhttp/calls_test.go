package rpcxhttp_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// everyDoor runs f for each way in, within synctest.
func everyDoor(t *testing.T, f func(t *testing.T, d *door)) {
	for _, d := range doors() {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, &d) })
		})
	}
}

func echo(_ context.Context, req string) (string, error) { return req, nil }

// TestKinds: all kinds of methods work over every protocol, over HTTP/1.1, too.
func TestKinds(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		s, c := d.site(t, echo)
		for _, test := range []struct {
			m    *call.Method
			req  []string
			want string
		}{
			{unary.Descriptor(), []string{"a b"}, "a b"},
			{get.Descriptor(), []string{"a b"}, "a b"},
			{split.Descriptor(), []string{"a b c"}, "a|b|c"},
			{split.Descriptor(), []string{""}, ""},
			{join.Descriptor(), []string{"a", "b"}, "a b"},
			{join.Descriptor(), nil, ""},
			{bidi.Descriptor(), []string{"a", "b"}, "a|b"},
		} {
			a := c(t.Context(), test.m, test.req, nil)
			if got := strings.Join(a.res, "|"); a.err != nil && d.half && test.m == bidi.Descriptor() {
				// connect's client does not try.
				if a.err.Code() != status.Unimplemented {
					t.Errorf("%s: %v", test.m, a.err)
				}
			} else if got != test.want || a.err != nil {
				t.Errorf("%s(%q) = %q, %v, want %q", test.m, test.req, got, a.err, test.want)
			}
		}
		synctest.Wait()
		if n := strings.Count(s.observer.calls(), "OK"); n < 6 {
			t.Errorf("observers saw %s", s.observer.calls())
		}
	})
}

// TestUnknownMethod: methods and services that are not there are refused alike.
func TestUnknownMethod(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		_, c := d.site(t, echo)
		for _, service := range []string{"test.v1.Echo", "test.v1.None"} {
			m := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: service, Name: "None"})
			a := c(t.Context(), m.Descriptor(), []string{"x"}, nil)
			if a.err.Code() != status.Unimplemented || !strings.Contains(a.err.Message(), "method /"+service+"/None is not served here") {
				t.Errorf("%s: %v", service, a.err)
			}
		}
	})
}

// TestOverload: what is too much is refused, and has not run.
func TestOverload(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		var runs atomic.Int64
		block := make(chan struct{})
		_, c := d.site(t, func(context.Context, string) (string, error) {
			runs.Add(1)
			<-block
			return "done", nil
		}, rpcx.WithMaxHandlers(1))
		first := make(chan answer, 1)
		go func() { first <- c(t.Context(), unary.Descriptor(), []string{"1"}, nil) }()
		synctest.Wait()
		a := c(t.Context(), unary.Descriptor(), []string{"2"}, nil)
		if got := outcome(a.err); got != "RESOURCE_EXHAUSTED not run" || !strings.Contains(a.err.Message(), "WithMaxHandlers") {
			t.Errorf("got %v (%s)", a.err, got)
		}
		close(block)
		if a := <-first; a.err != nil || runs.Load() != 1 {
			t.Errorf("the first call: %v; %d ran", a.err, runs.Load())
		}
	})
}

// TestCancel: a handler learns that its caller has given up.
func TestCancel(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		for _, m := range []*call.Method{unary.Descriptor(), split.Descriptor()} {
			var saw error
			s, c := d.site(t, func(ctx context.Context, _ string) (string, error) {
				<-ctx.Done()
				saw = ctx.Err()
				return "", ctx.Err()
			})
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, nil)
			time.AfterFunc(time.Second, cancel)
			a := c(ctx, m, []string{"x"}, nil)
			if a.err.Code() != status.Canceled {
				t.Errorf("%s: the caller saw %v", m, a.err)
			}
			synctest.Wait()
			if saw != context.Canceled || s.observer.calls() != m.Name()+" CANCELLED" {
				t.Errorf("%s: the handler saw %v, the observers %q", m, saw, s.observer.calls())
			}
		}
	})
}

// TestLeftBehind: what a handler leaves running may use the stream no more, and
// the call ends all the same.
func TestLeftBehind(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		if d.half {
			return // the client sends all before it receives
		}
		left := make(chan error, 2)
		m := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Leave", Kind: rpcx.BidiStream})
		s, c := d.site(t, echo)
		s.Register(rpcx.BidiStreamHandler(m, func(ctx context.Context, st rpcx.BidiStreamingServer[text, text]) error {
			go func() {
				var err error
				for err == nil { // until the end of the call or of the stream, whichever comes first
					_, err = st.Recv()
				}
				<-ctx.Done()
				_, err = st.Recv()
				left <- err
				left <- st.Send(&text{})
			}()
			return status.New(status.Aborted, "enough")
		}))
		if a := c(t.Context(), m.Descriptor(), []string{"x"}, nil); a.err.Code() != status.Aborted {
			t.Errorf("got %v", a.err)
		}
		for range 2 {
			if err := <-left; err == nil {
				t.Error("a stream can be used after its call")
			}
		}
	})
}

// TestDrain: a shutdown fails no call that runs, and waits for it.
func TestDrain(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		s, c := d.site(t, func(_ context.Context, req string) (string, error) {
			time.Sleep(3 * time.Second)
			return req, nil
		})
		answers := make(chan answer, 3)
		for range 3 {
			go func() { answers <- c(t.Context(), unary.Descriptor(), []string{"x"}, nil) }()
		}
		time.Sleep(time.Second)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for range 3 {
			if a := <-answers; a.err != nil {
				t.Error(a.err)
			}
		}
		if s.observer.open != 0 {
			t.Errorf("%d calls and connections are open", s.observer.open)
		}
	})
}

// TestShutdownTimeout: a shutdown whose time is over cancels the calls that are
// left, of all kinds, and their callers are told why.
func TestShutdownTimeout(t *testing.T) {
	for _, m := range []*call.Method{unary.Descriptor(), split.Descriptor(), join.Descriptor(), bidi.Descriptor()} {
		t.Run(m.Name(), func(t *testing.T) {
			everyDoor(t, func(t *testing.T, d *door) {
				if m == bidi.Descriptor() && d.half {
					return // connect's client does not try
				}
				s, c := d.site(t, func(ctx context.Context, _ string) (string, error) {
					<-ctx.Done()
					return "", ctx.Err()
				})
				ended := make(chan answer, 1)
				go func() { ended <- c(t.Context(), m, []string{"x"}, nil) }()
				synctest.Wait()
				patience, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				if err := s.Shutdown(patience); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown returned %v", err)
				}
				if took := time.Since(start); took < time.Minute || took > time.Minute+5*time.Second {
					t.Errorf("it took %v", took)
				}
				if a := <-ended; a.err.Code() != status.Unavailable || a.err.Message() != "the server takes no more calls on this connection" {
					t.Errorf("got %v", a.err)
				}
				if s.observer.open != 0 {
					t.Errorf("%d calls and connections are open", s.observer.open)
				}
			})
		})
	}
}

// TestClose: handlers see that the server has ended, and their callers why.
func TestClose(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		s, c := d.site(t, func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		ended := make(chan answer, 1)
		go func() { ended <- c(t.Context(), unary.Descriptor(), []string{"x"}, nil) }()
		synctest.Wait()
		s.Server.Close()
		if a := <-ended; a.err.Code() != status.Unavailable {
			t.Errorf("got %v", a.err)
		}
		if s.observer.open != 0 {
			t.Errorf("%d calls and connections are open", s.observer.open)
		}
	})
}

// TestNativeJSON: a server that speaks HTTP takes JSON over native frames, too.
func TestNativeJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, echo)
		conn, err := rpcx.Dial("server:1", rpcx.WithDialer(s.Dial), rpcx.WithCodec(jsoncodec.Codec))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		res, err := rpcx.CallUnary(t.Context(), conn, unary, wrapperspb.String("x"))
		if err != nil || res.GetValue() != "x" {
			t.Errorf("got %v, %v", res, err)
		}
	})
}
