package transport

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/frame/vectors"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
)

// vectorMethods are the methods that the vectors call.
var vectorMethods = map[string]*call.Method{}

func init() {
	for name, k := range map[string]call.Kind{
		"echo.v1.Echo/Say": call.KindUnary, "echo.v1.Echo/Other": call.KindUnary,
		"count.v1.Count/Up": call.KindServerStream, "count.v1.Count/Sum": call.KindClientStream, "count.v1.Count/Echo": call.KindBidiStream,
	} {
		service, m, _ := strings.Cut(name, "/")
		vectorMethods[name] = call.NewMethod(call.MethodSpec{Service: service, Name: m, Kind: k},
			func() any { return new(text) }, func() any { return new(text) })
	}
}

// TestBreaches replays the vectors whose last frame breaks a rule that only the
// connection's state shows, and expects the connection to end as they say.
func TestBreaches(t *testing.T) {
	all, err := vectors.Load("../../../testdata/wire")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range all {
		code, isConn := strings.CutPrefix(v.Expect, "connection ")
		if !isConn || skippedVectors[v.Name] {
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, role := replaying(t, &v)
				for _, u := range v.Units {
					switch {
					case u.Dir == role:
						p.raw(u.Bytes)
					case role == vectors.Server:
						// What the client under test sends stands in the vector for
						// the calls that it makes.
						makeCall(t, p, u.Bytes)
					}
				}
				if v.Start == vectors.Preface && role == vectors.Client {
					p.bytes(frame.PrefaceSize)
				}
				p.expectEnd(codeNamed(t, code))
			})
		})
	}
	if n < 30 {
		t.Errorf("only %d vectors", n)
	}
}

// skippedVectors need what the sides here do not agree on: a codec that is
// refused at once, and checksums (see rpcx's TestDamagedFrame).
var skippedVectors = map[string]bool{"state-format-again": true, "bad-checksum": true}

// vectorPeer is a peer and, if that is under test, the client.
type vectorPeer struct {
	*peer
	client *Client
}

// replaying returns a peer of the side that the vector's last unit is sent to,
// and the peer's role. The handlers under test never end by themselves.
func replaying(t *testing.T, v *vectors.Vector) (*vectorPeer, vectors.Dir) {
	role := v.Units[len(v.Units)-1].Dir
	last := v.Units[len(v.Units)-1].Bytes
	whole := v.Start == vectors.Preface
	settings := !whole && len(last) > 3 && frame.Type(last[3]) == frame.TypeSettings
	if role == vectors.Server {
		c, p := dialing(t)
		p.welcome()
		if !whole {
			p.hello()
		}
		return &vectorPeer{p, c}, role
	}
	d := dispatch.New(dispatch.Config{Log: slog.New(slog.DiscardHandler)})
	for _, m := range vectorMethods {
		h := call.Handler{Method: m}
		if m.Kind() == call.KindUnary {
			h.Unary = func(ctx context.Context, req any) (any, error) { <-ctx.Done(); return nil, ctx.Err() }
		} else {
			h.Stream = func(ctx context.Context, _ call.ServerStream) error { <-ctx.Done(); return ctx.Err() }
		}
		d.Register(h)
	}
	_, p := servingWith(t, d, memnet.DefaultBuffer)
	switch {
	case settings: // it is the first one
		p.raw([]byte(frame.Preface))
		p.bytes(frame.PrefaceSize)
	case !whole:
		p.hello()
		p.welcome()
	}
	return &vectorPeer{p, nil}, role
}

// makeCall has the client under test make the call that an OPEN stands for.
func makeCall(t *testing.T, p *vectorPeer, unit []byte) {
	var h frame.Header
	if err := h.Parse(unit); err != nil || h.Type != frame.TypeOpen {
		t.Fatalf("the vector's client sends %v, %v", &h, err)
	}
	var sec frame.Sections
	if err := frame.ParseSections(&h, unit[frame.HeaderSize:], &sec); err != nil {
		t.Fatal(err)
	}
	m := vectorMethods[string(sec.Name)]
	if m.Kind() == call.KindUnary {
		calling(t.Context(), p.client, m, string(sec.Message))
	} else if _, err := p.client.Stream(t.Context(), &StreamCall{Method: m, Req: str(string(sec.Message))}); err != nil {
		t.Fatal(err)
	}
	p.expectFrame(frame.TypeOpen, h.ID)
}

func codeNamed(t *testing.T, name string) frame.ErrorCode {
	for c := frame.NoError; c <= frame.LimitError; c++ {
		if c.String() == name {
			return c
		}
	}
	t.Fatalf("no code is named %q", name)
	return 0
}
