package metadata_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

func TestOutgoing(t *testing.T) {
	ctx := t.Context()
	if md, ok := metadata.FromOutgoingContext(ctx); md != nil || ok {
		t.Errorf("plain context: %v, %v", md, ok)
	}
	first := metadata.AppendToOutgoingContext(ctx, "A", "1")
	left := metadata.AppendToOutgoingContext(first, "b", "2")
	right := metadata.AppendToOutgoingContext(first, "c", "3", "d", "4")
	replaced := metadata.NewOutgoingContext(left, metadata.Pairs("e", "5"))
	for _, test := range []struct {
		ctx  context.Context
		want string
	}{{first, "a=1"}, {left, "a=1 b=2"}, {right, "a=1 c=3 d=4"}, {replaced, "e=5"}} {
		if md, ok := metadata.FromOutgoingContext(test.ctx); text(md) != test.want || !ok {
			t.Errorf("got %q, %v; want %q", text(md), ok, test.want)
		}
		if md, ok := metadata.FromIncomingContext(test.ctx); md != nil || ok {
			t.Errorf("what is sent counts as what came: %q, %v", text(md), ok)
		}
	}
}

func TestAppendToOutgoingPanicsOnOddCount(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	metadata.AppendToOutgoingContext(t.Context(), []string{"a"}...)
}

// TestContextIsNotChanged checks that MDs out of a context may be changed by
// their methods without changing what others get.
func TestContextIsNotChanged(t *testing.T) {
	roomy := append(make(metadata.MD, 0, 10), metadata.Pair{Key: "a", Value: "1"})
	for name, get := range map[string]func() metadata.MD{
		"outgoing": func() metadata.MD {
			md, _ := metadata.FromOutgoingContext(metadata.NewOutgoingContext(t.Context(), roomy))
			return md
		},
		"incoming": func() metadata.MD {
			md, _ := metadata.FromIncomingContext(metadata.NewIncomingContext(t.Context(), roomy))
			return md
		},
		"lazy": func() metadata.MD {
			md, _ := metadata.FromIncomingContext(&callContext{Context: t.Context(), md: roomy})
			return md
		},
	} {
		x, y := get(), get()
		x.Add("b", "x")
		y.Add("b", "y")
		x.Set("a", "2")
		if got := text(x) + ", " + text(y); got != "b=x a=2, a=1 b=y" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// callContext is a context such as the runtime has: it answers for the incoming
// metadata itself.
type callContext struct {
	context.Context
	md    metadata.MD
	asked int
}

func (c *callContext) Value(key any) any {
	if key == metadata.IncomingKey() {
		return c
	}
	return c.Context.Value(key)
}

func (c *callContext) IncomingMetadata() (metadata.MD, bool) {
	c.asked++
	return c.md, c.md != nil
}

func TestIncoming(t *testing.T) {
	if md, ok := metadata.FromIncomingContext(t.Context()); md != nil || ok {
		t.Errorf("plain context: %v, %v", md, ok)
	}
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("a", "1"))
	if md, ok := metadata.FromIncomingContext(ctx); text(md) != "a=1" || !ok {
		t.Errorf("got %q, %v", text(md), ok)
	}
	if md, ok := metadata.FromIncomingContext(metadata.NewIncomingContext(ctx, nil)); md != nil || !ok {
		t.Errorf("a call without metadata: %v, %v", md, ok)
	}
}

func TestIncomingSource(t *testing.T) {
	call := &callContext{Context: t.Context(), md: metadata.Pairs("a", "1")}
	ctx, cancel := context.WithCancel(call)
	defer cancel()
	if call.asked != 0 {
		t.Error("the source was asked before anybody wanted to know")
	}
	if md, ok := metadata.FromIncomingContext(ctx); text(md) != "a=1" || !ok {
		t.Errorf("got %q, %v", text(md), ok)
	}
	if n := testing.AllocsPerRun(100, func() { metadata.FromIncomingContext(call) }); n != 0 {
		t.Errorf("FromIncomingContext allocates %v times", n)
	}
	if md, ok := metadata.FromIncomingContext(&callContext{Context: ctx}); md != nil || ok {
		t.Errorf("a source without a call: %v, %v", md, ok)
	}
}

// A client sends metadata with every call of a context.
func ExampleAppendToOutgoingContext() {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "tenant", "acme")
	ctx = metadata.AppendToOutgoingContext(ctx, "Trace-Id", "42")

	md, _ := metadata.FromOutgoingContext(ctx)
	fmt.Println(md)
	// Output: [{tenant acme} {trace-id 42}]
}

// A handler looks at what came with the call.
func ExampleFromIncomingContext() {
	handler := func(ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		fmt.Println("tenant:", md.Get("tenant"))
	}
	// A test of the handler makes the context that the server would make.
	handler(metadata.NewIncomingContext(context.Background(), metadata.Pairs("tenant", "acme")))
	// Output: tenant: acme
}
