package rpcx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// overhear returns an option that keeps what a Conn sends and receives.
func overhear() (rpcx.DialOption, func() string) {
	heard := new(listening)
	return rpcx.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &overheard{nc, heard}, err
	}), heard.String
}

type listening struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *listening) add(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Write(b)
}

func (l *listening) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

type overheard struct {
	net.Conn
	heard *listening
}

func (o *overheard) Write(b []byte) (int, error) {
	o.heard.add(b)
	return o.Conn.Write(b)
}

func (o *overheard) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	o.heard.add(b[:n])
	return n, err
}

// TestJSON: calls of all kinds go in JSON both ways, small ones and large ones,
// compressed and not, while others go to the same server in protobuf.
func TestJSON(t *testing.T) {
	for _, compression := range [][]rpcx.Option{nil, {rpcx.WithCompression("gzip", 1000)}} {
		sopts := []rpcx.ServerOption{rpcx.WithCodec(jsoncodec.Codec)}
		ear, heard := overhear()
		dopts := []rpcx.DialOption{rpcx.WithCodec(jsoncodec.Codec), ear}
		for _, o := range compression {
			sopts, dopts = append(sopts, o), append(dopts, o)
		}
		conn, _ := startWith(t, &echo{}, sopts, dopts)
		eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
			if got, err := do(); got != "a b" || err != nil {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
		}, conn)
		if all := heard(); strings.Count(all, `"a b"`) < 5 || strings.Count(all, `"b"`) < 3 {
			t.Errorf("on the wire: %q", all)
		}
		callAll(t, conn, strings.Repeat(strings.Repeat(`"again`, 30)+" ", 1000))
	}
}

// TestCodecs: both codecs serve on one server at once.
func TestCodecs(t *testing.T) {
	json, _, network := inMemory(t, &echo{}, []rpcx.ServerOption{rpcx.WithCodec(jsoncodec.Codec)}, []rpcx.DialOption{rpcx.WithCodec(jsoncodec.Codec)})
	proto, err := rpcx.Dial("echo:7000", rpcx.WithDialer(network.Dial))
	if err != nil {
		t.Fatal(err)
	}
	defer proto.Close()
	var calls sync.WaitGroup
	defer calls.Wait()
	for range 20 {
		for name, conn := range map[string]*rpcx.Conn{"json": json, "proto": proto} {
			calls.Go(func() {
				for kind, do := range kinds {
					if got, err := do(t.Context(), conn); got != "a b" || err != nil {
						t.Errorf("%s in %s: got %q, %v", kind, name, got, err)
					}
				}
			})
		}
	}
}

// TestCodecRefused: a server that does not take a codec says so, for every kind,
// and nothing has run.
func TestCodecRefused(t *testing.T) {
	conn, srv := startWith(t, &echo{}, nil, []rpcx.DialOption{rpcx.WithCodec(jsoncodec.Codec)})
	eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
		_, err := do()
		wantCode(t, err, status.Unimplemented, "codec 1 (json) is not accepted by the server (its option WithCodec)")
		var e *status.Error
		if !errors.As(err, &e) || !e.NotRun() {
			t.Errorf("%s may have run: %v", name, err)
		}
	}, conn)
	srv.Close()
	for _, m := range srv.Stats() {
		if m.Started != 0 {
			t.Errorf("%s: %d started", m.Method, m.Started)
		}
	}
}

// TestJSONErrors: what cannot be decoded says where, and costs only its call.
func TestJSONErrors(t *testing.T) {
	// A caller that takes the messages for others than they are.
	wrongUnary := rpcx.NewMethod[durationpb.Duration, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Unary"})
	wrongAnswer := rpcx.NewMethod[text, durationpb.Duration](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Unary"})
	wrongJoin := rpcx.NewMethod[wrapperspb.Int32Value, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Join", Kind: rpcx.ClientStream})
	conn, _ := start(t, &echo{}, rpcx.WithCodec(jsoncodec.Codec), rpcx.WithMaxMessageSize(64<<10))
	ctx := t.Context()
	if res, err := rpcx.CallUnary(ctx, conn, wrongUnary, durationpb.New(5)); err != nil || res.GetValue() != "0.000000005s" {
		t.Errorf("got %v, %v", res, err) // a duration is text in JSON
	}
	_, err := rpcx.CallUnary(ctx, conn, wrongAnswer, wrapperspb.String("long"))
	wantCode(t, err, status.Internal, `answer: JSON of google.protobuf.Duration, line 1, column 1: invalid google.protobuf.Duration value "long"`)
	s, err := rpcx.CallClientStream(ctx, conn, wrongJoin)
	if err != nil {
		t.Fatal(err)
	}
	s.Send(wrapperspb.Int32(7))
	_, err = s.CloseAndRecv()
	wantCode(t, err, status.InvalidArgument, `JSON of google.protobuf.StringValue, line 1, column 1`)
	_, err = rpcx.CallUnary(ctx, conn, echoUnary, wrapperspb.String("\xff"))
	wantCode(t, err, status.Internal, "invalid UTF-8")
	// Escapes count: it is the JSON that is limited.
	_, err = rpcx.CallUnary(ctx, conn, echoUnary, wrapperspb.String(strings.Repeat("\n", 40<<10)))
	wantCode(t, err, status.ResourceExhausted, "message of 81922 bytes is above the limit of 65536")
	callAll(t, conn, "fine")
}

// numbered is protobuf by another number.
type numbered struct {
	codec.Codec
	id codec.ID
}

func (n numbered) ID() codec.ID { return n.id }

func TestCodecNumbers(t *testing.T) {
	conn, _ := start(t, &echo{}, rpcx.WithCodec(numbered{codec.Proto, 8}), rpcx.WithCodec(numbered{codec.Proto, 15}))
	callAll(t, conn, "by another number")

	// The last one with a number is taken.
	conn, _ = startWith(t, &echo{},
		[]rpcx.ServerOption{rpcx.WithCodec(numbered{codec.Proto, codec.JSONID}), rpcx.WithCodec(jsoncodec.Codec)},
		[]rpcx.DialOption{rpcx.WithCodec(numbered{codec.Proto, 8}), rpcx.WithCodec(jsoncodec.Codec)})
	callAll(t, conn, "by its own number")

	conn, _ = startWith(t, &echo{}, nil, []rpcx.DialOption{rpcx.WithCodec(jsoncodec.Codec), rpcx.WithCodec(codec.Proto)})
	callAll(t, conn, "as always")

	if _, err := rpcx.Dial("localhost:1", rpcx.WithCodec(numbered{codec.Proto, 16})); err == nil || !strings.Contains(err.Error(), "0 to 15") {
		t.Errorf("16: %v", err)
	}
	for _, id := range []codec.ID{0, 16} {
		func() {
			defer func() {
				if r := recover(); !strings.Contains(fmt.Sprint(r), "WithCodec") {
					t.Errorf("%d: a server does not say that it cannot: %v", id, r)
				}
			}()
			rpcx.NewServer(rpcx.WithCodec(numbered{codec.Proto, id}))
		}()
	}
}
