package rpcx_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// journal is a list that several goroutines write.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

// TestInterceptorOrder: around each call of each kind stand the client's
// interceptors and then the server's, the first one of each outermost.
func TestInterceptorOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		named := func(name string) call.Interceptor {
			return func(ctx context.Context, c *call.Call, next call.Next) error {
				j.add(name + " " + c.Side().String())
				err := next(ctx, c)
				j.add("end " + name + " " + c.Side().String() + " " + status.CodeOf(err).String())
				return err
			}
		}
		conn, _, _ := inMemory(t, &echo{}, onServer(named("a"), named("b")),
			[]rpcx.DialOption{rpcx.WithInterceptors(named("a")), rpcx.WithInterceptors(named("b"))})
		eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
			if got, err := do(); err != nil || got != "a b" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			synctest.Wait()
			got := j.take()
			starts := []string{"a client", "b client", "a server", "b server"}
			if len(got) != 8 || !slices.Equal(got[:4], starts) {
				t.Fatalf("%s: %q", name, got)
			}
			for _, side := range []string{"client", "server"} {
				inner, outer := slices.Index(got, "end b "+side+" OK"), slices.Index(got, "end a "+side+" OK")
				if inner < 0 || outer < inner {
					t.Errorf("%s, %s: %q", name, side, got)
				}
			}
		}, conn)
	})
}

// TestInterceptorRefuses: an error without next ends the call on either side,
// and nothing is run.
func TestInterceptorRefuses(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refuse := func(context.Context, *call.Call, call.Next) error {
					return status.Errorf(status.PermissionDenied, "not you")
				}
				reached := false
				see := func(ctx context.Context, c *call.Call, next call.Next) error { reached = true; return next(ctx, c) }
				sopts, dopts := onServer(refuse, see), []rpcx.DialOption(nil)
				if side == "client" {
					sopts, dopts = onServer(see), onClient(refuse)
				}
				conn, _, _ := inMemory(t, &echo{}, sopts, dopts)
				eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
					_, err := do()
					wantCode(t, err, status.PermissionDenied, "not you")
					if reached {
						t.Errorf("%s: the call went on", name)
					}
				}, conn)
			})
		})
	}
}

// TestInterceptorChangesTheError: what the interceptor returns is the result.
func TestInterceptorChangesTheError(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := func(ctx context.Context, c *call.Call, next call.Next) error {
					if err := next(ctx, c); err != nil {
						t.Errorf("next: %v", err)
					}
					return status.Errorf(status.DataLoss, "afterwards")
				}
				sopts, dopts := onServer(change), []rpcx.DialOption(nil)
				if side == "client" {
					sopts, dopts = nil, onClient(change)
				}
				conn, _, _ := inMemory(t, &echo{}, sopts, dopts)
				eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
					_, err := do()
					wantCode(t, err, status.DataLoss, "afterwards")
				}, conn)
			})
		})
	}
}

// TestInterceptorAnswers: a unary call can be answered without the server.
func TestInterceptorAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := any(wrapperspb.String("cached"))
		conn, _, network := inMemory(t, &echo{}, nil, onClient(func(_ context.Context, c *call.Call, _ call.Next) error {
			c.SetResponse(answer)
			return nil
		}))
		network.ResetConns()
		got, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
		if err != nil || got.GetValue() != "cached" {
			t.Errorf("got %v, %v", got, err)
		}
		got.Value = "changed"
		if answer.(*text).Value != "cached" {
			t.Error("the caller changed the interceptor's message")
		}
		for _, wrong := range []any{durationpb.New(1), nil, "x"} {
			answer = wrong
			_, err = rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
			wantCode(t, err, status.Internal, "interceptor")
		}
	})
}

// TestInterceptorRetries: next may be called again for a unary call; each call
// of it is an attempt with an answer of its own.
func TestInterceptorRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		e := &echo{unary: func(_ context.Context, req *text) (*text, error) {
			if n++; n < 3 {
				return nil, status.Errorf(status.Unavailable, "attempt %d", n)
			}
			return req, nil
		}}
		var after []string
		retry := func(ctx context.Context, c *call.Call, next call.Next) error {
			for {
				err := next(ctx, c)
				if status.CodeOf(err) != status.Unavailable {
					return err
				}
				after = append(after, status.FromError(err).Message())
				if c.Response() != nil {
					t.Errorf("a response beside %v", err)
				}
			}
		}
		conn, _, _ := inMemory(t, e, nil, onClient(retry))
		got, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
		if err != nil || got.GetValue() != "x" || strings.Join(after, ",") != "attempt 1,attempt 2" {
			t.Errorf("got %v, %v after %q", got, err, after)
		}
	})
}

// TestInterceptorMessages: interceptors see and may change messages.
func TestInterceptorMessages(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := func(ctx context.Context, c *call.Call, next call.Next) error {
					req, err := c.Request()
					if err != nil {
						return err
					}
					if c.Method().Kind().CallerStreams() {
						if req != nil {
							t.Errorf("%v: a request %v", c.Method(), req)
						}
					} else {
						c.SetRequest(wrapperspb.String(req.(*text).GetValue() + " c"))
					}
					c.OnSend(func(msg any) error { msg.(*text).Value += "<"; return nil })
					c.OnReceive(func(msg any) error { msg.(*text).Value += ">"; return nil })
					return next(ctx, c)
				}
				sopts, dopts := onServer(change), []rpcx.DialOption(nil)
				if side == "client" {
					sopts, dopts = nil, onClient(change)
				}
				conn, _, _ := inMemory(t, &echo{}, sopts, dopts)
				want := map[string]string{
					"Unary": "a b c", "Inline": "a b c", "Split": "a> b> c>",
					"Join": "a< b<>", "Bidi": "a<> b<>",
				}
				if side == "server" {
					want["Split"], want["Join"], want["Bidi"] = "a< b< c<", "a> b><", "a>< b><"
				}
				eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
					if got, err := do(); err != nil || got != want[name] {
						t.Errorf("%s: %q, %v; want %q", name, got, err, want[name])
					}
				}, conn)
			})
		})
	}
}

// TestInterceptorRefusesMessage: an error of OnSend or OnReceive ends the call
// with it, on either side.
func TestInterceptorRefusesMessage(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		for _, hook := range []string{"send", "receive"} {
			t.Run(side+" "+hook, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					refuse := func(msg any) error {
						if msg.(*text).GetValue() == "bad" {
							return status.Errorf(status.InvalidArgument, "bad message")
						}
						return nil
					}
					var seen error
					ic := func(ctx context.Context, c *call.Call, next call.Next) error {
						if hook == "send" {
							c.OnSend(refuse)
						} else {
							c.OnReceive(refuse)
						}
						seen = next(ctx, c)
						return seen
					}
					sopts, dopts := onServer(ic), []rpcx.DialOption(nil)
					if side == "client" {
						sopts, dopts = nil, onClient(ic)
					}
					conn, _, _ := inMemory(t, &echo{}, sopts, dopts)
					s, err := rpcx.CallBidiStream(t.Context(), conn, echoBidi)
					if err != nil {
						t.Fatal(err)
					}
					if err := s.Send(wrapperspb.String("good")); err != nil {
						t.Error(err)
					}
					if m, err := s.Recv(); err != nil || m.GetValue() != "good" {
						t.Errorf("got %v, %v", m, err)
					}
					if err := s.Send(wrapperspb.String("bad")); side == "client" && hook == "send" {
						wantCode(t, err, status.InvalidArgument, "bad message")
					} else if err != nil {
						t.Error(err)
					}
					_, err = s.Recv()
					wantCode(t, err, status.InvalidArgument, "bad message")
					synctest.Wait()
					wantCode(t, seen, status.InvalidArgument, "bad message")
					if err := s.Send(wrapperspb.String("more")); err != io.EOF {
						t.Errorf("Send after the end: %v", err)
					}
				})
			})
		}
	}
}

// TestClientInterceptorOfStreams: next returns when the stream has ended,
// however it ends, and Close and break wait for the interceptor.
func TestClientInterceptorOfStreams(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(t *testing.T, s rpcx.BidiStreamingClient[text, text], cancel func())
		code status.Code
	}{
		"read to the end": {func(t *testing.T, s rpcx.BidiStreamingClient[text, text], _ func()) {
			s.CloseSend()
			for _, err := range s.All() {
				if err != nil {
					t.Error(err)
				}
			}
		}, status.OK},
		"closed": {func(_ *testing.T, s rpcx.BidiStreamingClient[text, text], _ func()) { s.Close() }, status.Canceled},
		"cancelled": {func(t *testing.T, s rpcx.BidiStreamingClient[text, text], cancel func()) {
			cancel()
			_, err := s.Recv()
			for err == nil {
				_, err = s.Recv()
			}
			wantCode(t, err, status.Canceled, "")
		}, status.Canceled},
		"broken out of": {func(_ *testing.T, s rpcx.BidiStreamingClient[text, text], _ func()) {
			for range s.All() {
				break
			}
		}, status.Canceled},
		"timeout": {func(t *testing.T, s rpcx.BidiStreamingClient[text, text], _ func()) {
			_, err := joined(s.Recv)
			wantCode(t, err, status.DeadlineExceeded, "")
		}, status.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				conn, _, _ := inMemory(t, &echo{}, nil, onClient(func(ctx context.Context, c *call.Call, next call.Next) error {
					err := next(ctx, c)
					j.add(status.CodeOf(err).String())
					return err
				}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s, err := rpcx.CallBidiStream(ctx, conn, echoBidi, rpcx.WithTimeout(time.Minute))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Send(wrapperspb.String("x")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if lines := j.take(); len(lines) > 0 {
					t.Fatalf("next returned early: %q", lines)
				}
				test.end(t, s, cancel)
				if lines := j.take(); len(lines) != 1 || lines[0] != test.code.String() {
					t.Errorf("the interceptor saw %q, want %v", lines, test.code)
				}
				s.Close()
			})
		})
	}
}
