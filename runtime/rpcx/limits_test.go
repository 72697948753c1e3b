package rpcx_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestCallLimits breaches each limit that costs the call: the error names the
// value, the limit and the option.
func TestCallLimits(t *testing.T) {
	unary := func(n int, opts ...rpcx.CallOption) func(context.Context, *rpcx.Conn) error {
		return func(ctx context.Context, c *rpcx.Conn) error {
			_, err := rpcx.CallUnary(ctx, c, echoUnary, wrapperspb.String(strings.Repeat("x", n)), opts...)
			return err
		}
	}
	// The message around n bytes of text has a tag and a length of 3 bytes.
	const n, size = 100_000, 100_004
	answers := &echo{unary: func(ctx context.Context, _ *text) (*text, error) {
		return wrapperspb.String(strings.Repeat("x", n)), nil
	}}
	var block metadata.MD
	for range 65 {
		block = append(block, metadata.Pair{Key: "k", Value: "v"})
	}
	for name, test := range map[string]struct {
		e      *echo
		server []rpcx.ServerOption
		dial   []rpcx.DialOption
		call   func(context.Context, *rpcx.Conn) error
		code   status.Code
		want   []string
	}{
		"message to the server": {
			server: []rpcx.ServerOption{rpcx.WithMaxMessageSize(64 << 10)}, call: unary(n),
			code: status.ResourceExhausted, want: []string{fmt.Sprint(size), "65536", "WithMaxMessageSize"},
		},
		"message to the client": {
			e: answers, dial: []rpcx.DialOption{rpcx.WithMaxMessageSize(64 << 10)}, call: unary(1),
			code: status.ResourceExhausted, want: []string{fmt.Sprint(size), "65536", "WithMaxMessageSize"},
		},
		"receive budget": {
			server: []rpcx.ServerOption{rpcx.WithReceiveBudget(1)}, call: unary(2 << 20),
			code: status.ResourceExhausted, want: []string{"would hold", "1048576", "WithReceiveBudget"},
		},
		"handlers": {
			e: &echo{unary: func(ctx context.Context, req *text) (*text, error) {
				<-ctx.Done()
				return req, nil
			}},
			server: []rpcx.ServerOption{rpcx.WithMaxHandlers(1)},
			call: func(ctx context.Context, c *rpcx.Conn) error {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				go unary(1)(ctx, c)
				synctest.Wait()
				return unary(1)(ctx, c)
			},
			code: status.ResourceExhausted, want: []string{"2", "limit of 1", "WithMaxHandlers"},
		},
		"metadata entries": {
			call: unary(1, rpcx.WithMetadata(block)),
			code: status.InvalidArgument, want: []string{"65", "64"},
		},
		"metadata bytes": {
			call: unary(1, rpcx.WithMetadata(metadata.Pairs("k", strings.Repeat("v", 9000)))),
			code: status.InvalidArgument, want: []string{"8192"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if test.e == nil {
					test.e = &echo{}
				}
				c, _, _ := inMemory(t, test.e, test.server, test.dial)
				err := test.call(t.Context(), c)
				if status.CodeOf(err) != test.code {
					t.Errorf("got %v, want %v", err, test.code)
				}
				for _, want := range test.want {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%v does not name %q", err, want)
					}
				}
			})
		})
	}
}

// raw is a connection to a server whose handlers wait until they are cancelled.
// The test speaks the client's side itself.
func raw(t *testing.T, opts ...rpcx.ServerOption) net.Conn {
	t.Helper()
	network := rpcxtest.NewNetwork()
	srv := rpcx.NewServer(opts...)
	srv.Register(
		rpcx.UnaryHandler(echoUnary, func(ctx context.Context, req *text) (*text, error) {
			<-ctx.Done()
			return req, nil
		}),
		rpcx.ClientStreamHandler(echoJoin, func(ctx context.Context, _ rpcx.ClientStreamingServer[text]) (*text, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	go srv.Serve(network.Listener())
	nc, err := network.Dial(t.Context(), "", "echo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		srv.Close()
	})
	return nc
}

// one returns a frame.
func one(h frame.Header, payload string) string {
	h.Length = uint32(len(payload))
	return string(h.Append(nil)) + payload
}

// TestConnectionLimits breaches limits with bytes that no client of this runtime
// sends: what the server says of it names the value, the limit and the option.
func TestConnectionLimits(t *testing.T) {
	hello := frame.Preface + string(frame.AppendSettings(nil, frame.DefaultSettings()))
	open := func(method string, id frame.StreamID, number uint16, flags frame.Flags, payload string) string {
		return one(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | flags, ID: id, Code: number},
			string(frame.AppendName(nil, "test.v1.Echo/"+method))+payload)
	}
	const single = frame.FlagMessage | frame.FlagHalfClose
	message := func(n int) string {
		return one(frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | frame.FlagCredited, ID: 1}, strings.Repeat("x", n))
	}
	var calls, methods strings.Builder
	for i := range 17 {
		calls.WriteString(open("Unary", frame.StreamID(1+2*i), 0, single, ""))
	}
	for i := range 65 {
		methods.WriteString(open("Unary", frame.StreamID(1+2*i), uint16(1+i), single, ""))
	}
	const bytes = 9000
	large := string(frame.AppendMetadata(nil, metadata.Pairs("k", strings.Repeat("v", bytes))))
	var many metadata.MD
	for range 65 {
		many = append(many, metadata.Pair{Key: "k", Value: "v"})
	}
	for name, test := range map[string]struct {
		opts []rpcx.ServerOption
		sent string
		want []string
	}{
		"handshake":            {nil, frame.Preface, []string{"5s", "WithHandshakeTimeout"}},
		"frame":                {nil, hello + one(frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage, ID: 1}, strings.Repeat("x", 70_000)), []string{"70000", "65536", "WithMaxFrameSize"}},
		"larger frames":        {[]rpcx.ServerOption{rpcx.WithMaxFrameSize(100_000)}, hello + one(frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage, ID: 1}, strings.Repeat("x", 100_001)), []string{"100001", "100000", "WithMaxFrameSize"}},
		"stream window":        {nil, hello + open("Join", 1, 1, frame.FlagCallerStreams, "") + strings.Repeat(message(60_000), 5), []string{"stream 1", "window is 262144", "WithStreamWindow"}},
		"connection window":    {[]rpcx.ServerOption{rpcx.WithConnWindow(64 << 10)}, hello + open("Join", 1, 1, frame.FlagCallerStreams, "") + strings.Repeat(message(60_000), 2), []string{"window is 65536", "WithConnWindow"}},
		"calls":                {[]rpcx.ServerOption{rpcx.WithMaxStreams(16)}, hello + calls.String(), []string{"16 calls", "limit is 16", "WithMaxStreams"}},
		"methods":              {[]rpcx.ServerOption{rpcx.WithMaxMethods(64)}, hello + methods.String(), []string{"65", "limit is 64", "WithMaxMethods"}},
		"metadata bytes":       {nil, hello + open("Unary", 1, 1, single|frame.FlagHeaders, large), []string{fmt.Sprint(bytes + 4), "8192", "WithMaxMetadataSize"}},
		"metadata entries":     {nil, hello + open("Unary", 1, 1, single|frame.FlagHeaders, string(frame.AppendMetadata(nil, many))), []string{"65", "64", "fixed"}},
		"credit of the peer's": {nil, hello + strings.Repeat(string(frame.AppendCredit(nil, 0, 1<<31-1)), 2), []string{"above the limit of 2147483647"}},
		"frames that bring nothing": {nil, hello + strings.Repeat(string(frame.AppendPing(nil, 1)), 1000),
			[]string{"1000 frames", "the limit is 1000"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc := raw(t, test.opts...)
				go io.WriteString(nc, test.sent)
				got := make(chan string, 1)
				go func() {
					b, _ := io.ReadAll(nc)
					got <- string(b)
				}()
				time.Sleep(30 * time.Second)
				nc.Close()
				said := <-got
				for _, want := range test.want {
					if !strings.Contains(said, want) {
						t.Errorf("%q does not name %q", said[max(len(said)-300, 0):], want)
					}
				}
			})
		})
	}
}
