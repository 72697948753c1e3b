package rpcx_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestCompression: messages arrive whole in every kind of call, and what was
// sent is smaller where that was asked for.
func TestCompression(t *testing.T) {
	want := strings.Repeat("again and ", 10_000)
	for _, name := range []string{"gzip", "zstd", "s2"} {
		t.Run(name, func(t *testing.T) {
			conn, srv := start(t, &echo{}, rpcx.WithCompression(name, 1000))
			callAll(t, conn, want)
			for _, side := range [][]rpcx.Stats{conn.Stats(), srv.Stats()} {
				for _, m := range side {
					split := strings.HasSuffix(m.Method, "Split") // its words are below the threshold
					if m.BytesSent > uint64(len(want))/2 && !split {
						t.Errorf("%s: %d bytes sent for messages of %d", m.Method, m.BytesSent, len(want))
					}
				}
			}
		})
	}
}

// callAll sends want through a call of each kind that answers with it.
func callAll(t *testing.T, conn *rpcx.Conn, want string) {
	t.Helper()
	ctx := t.Context()
	check := func(kind string, got *text, err error) {
		t.Helper()
		if err != nil || got.GetValue() != want {
			t.Errorf("%s: got %d bytes, %v", kind, len(got.GetValue()), err)
		}
	}
	got, err := rpcx.CallUnary(ctx, conn, echoUnary, wrapperspb.String(want))
	check("unary", got, err)
	got, err = rpcx.CallUnary(ctx, conn, echoInline, wrapperspb.String(want))
	check("inline", got, err)
	join, err := rpcx.CallClientStream(ctx, conn, echoJoin)
	if err != nil {
		t.Fatal(err)
	}
	if err := join.Send(wrapperspb.String(want)); err != nil {
		t.Fatal(err)
	}
	got, err = join.CloseAndRecv()
	check("client stream", got, err)
	bidi, err := rpcx.CallBidiStream(ctx, conn, echoBidi)
	if err != nil {
		t.Fatal(err)
	}
	defer bidi.Close()
	if err := bidi.Send(wrapperspb.String(want)); err != nil {
		t.Fatal(err)
	}
	got, err = bidi.Recv()
	check("bidi stream", got, err)
	split, err := rpcx.CallServerStream(ctx, conn, echoSplit, wrapperspb.String(want))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range split.All() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if words := len(strings.Fields(want)); n != words {
		t.Errorf("server stream: %d messages, want %d", n, words)
	}
}

// TestCompressionNotAccepted: a peer that accepts none gets none.
func TestCompressionNotAccepted(t *testing.T) {
	want := strings.Repeat("x", 100_000)
	conn, _ := startWith(t, &echo{},
		[]rpcx.ServerOption{rpcx.WithAcceptedCompressions()},
		[]rpcx.DialOption{rpcx.WithCompression("zstd", 0)})
	got, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String(want))
	if err != nil || got.GetValue() != want {
		t.Fatalf("got %d bytes, %v", len(got.GetValue()), err)
	}
	if sent := conn.Stats()[0].BytesSent; sent < uint64(len(want)) {
		t.Errorf("%d bytes sent for a message of %d", sent, len(want))
	}
}

// TestCompressionLimit: the limit holds for the message after decompression.
func TestCompressionLimit(t *testing.T) {
	e := &echo{unary: func(context.Context, *text) (*text, error) {
		return wrapperspb.String(strings.Repeat("x", 1<<20)), nil
	}}
	// The client's limit is known to the server, which then does not send.
	conn, _ := startWith(t, e,
		[]rpcx.ServerOption{rpcx.WithCompression("zstd", 0)},
		[]rpcx.DialOption{rpcx.WithMaxMessageSize(100_000)})
	_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
	if status.CodeOf(err) != status.ResourceExhausted {
		t.Errorf("got %v, want RESOURCE_EXHAUSTED", err)
	}
}

func TestUnknownCompression(t *testing.T) {
	_, err := rpcx.Dial("localhost:1", rpcx.WithCompression("lzw", 0))
	if err == nil || !strings.Contains(err.Error(), `no compression "lzw" (have: gzip, zstd, s2)`) {
		t.Errorf("got %v", err)
	}
}
