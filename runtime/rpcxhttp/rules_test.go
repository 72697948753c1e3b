package rpcxhttp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// rule is one that every call obeys, whatever protocol it came by.
type rule struct {
	name    string
	options []rpcx.ServerOption
	handle  handler // default: echo
	req     string
	md      metadata.MD
	timeout time.Duration
	// want is what the caller sees; parts of the message must be in it.
	want  string
	parts []string
	runs  int // how often the handler runs
	// observed is how the observers see the call end, "" if it is refused before.
	observed string
	// client is what the native client says if it does not send what breaks the
	// rule, packed what both see if that is known only once it is decompressed.
	client, packed string
}

func deny(_ context.Context, c *call.Call, _ call.Next) error {
	if c.RequestHeader().Get("x-user") != "ann" {
		return status.New(status.PermissionDenied, "only ann may")
	}
	if _, known := c.Known(); known {
		return status.New(status.Internal, "the request has been decoded")
	}
	return status.New(status.Unauthenticated, "nor ann without a password").WithNotRun()
}

func rules() []rule {
	var entries metadata.MD
	for i := range 65 {
		entries.Add(fmt.Sprintf("x-%d", i), "v")
	}
	detailed, err := status.New(status.Aborted, "lost, ünluckily").WithDetails(durationpb.New(time.Minute))
	if err != nil {
		panic(err)
	}
	fails := func(err error) handler {
		return func(context.Context, string) (string, error) { return "", err }
	}
	return []rule{
		{name: "success", req: "hällo", want: "OK", runs: 1, observed: "OK"},
		{name: "empty message", want: "OK", runs: 1, observed: "OK"},
		{name: "large message", req: strings.Repeat("0123456789", 20_000), want: "OK", runs: 1, observed: "OK"},
		{name: "denied", options: []rpcx.ServerOption{rpcx.WithInterceptors(deny)}, req: "x",
			want: "PERMISSION_DENIED", parts: []string{"only ann may"}, observed: "PERMISSION_DENIED"},
		{name: "denied, not run", options: []rpcx.ServerOption{rpcx.WithInterceptors(deny)}, req: "x", md: metadata.Pairs("x-user", "ann"),
			want: "UNAUTHENTICATED not run", observed: "UNAUTHENTICATED"},
		{name: "message limit", options: []rpcx.ServerOption{rpcx.WithMaxMessageSize(64 << 10)}, req: strings.Repeat("0123456789", 10_000),
			want: "RESOURCE_EXHAUSTED not run do not retry", parts: []string{"limit of 65536", "WithMaxMessageSize"},
			client: "RESOURCE_EXHAUSTED not run", packed: "RESOURCE_EXHAUSTED"},
		{name: "metadata limit", req: "x", md: metadata.Pairs("x-a", strings.Repeat("v", 8190)),
			want: "RESOURCE_EXHAUSTED not run do not retry", parts: []string{"the limit is 8192 (option WithMaxMetadataSize)"},
			client: "INVALID_ARGUMENT not run"},
		{name: "metadata entries", req: "x", md: entries,
			want: "RESOURCE_EXHAUSTED not run do not retry", parts: []string{"metadata entries, the limit is 64 (fixed)"},
			client: "INVALID_ARGUMENT not run"},
		{name: "deadline", req: "x", timeout: time.Second, runs: 1, want: "DEADLINE_EXCEEDED", observed: "DEADLINE_EXCEEDED",
			handle: func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }},
		{name: "panic", req: "x", runs: 1, want: "INTERNAL", parts: []string{"the handler panicked"}, observed: "INTERNAL",
			handle: func(context.Context, string) (string, error) { panic("a secret") }},
		{name: "typed error", req: "x", runs: 1, handle: fails(detailed), want: "ABORTED 1 details", parts: []string{"lost, ünluckily"}, observed: "ABORTED"},
		{name: "push-back", req: "x", runs: 1, handle: fails(status.New(status.Unavailable, "busy").WithRetryAfter(1500 * time.Millisecond)),
			want: "UNAVAILABLE retry after 1.5s", observed: "UNAVAILABLE"},
		{name: "do not retry", req: "x", runs: 1, handle: fails(status.New(status.Unavailable, "busy").WithDoNotRetry()),
			want: "UNAVAILABLE do not retry", observed: "UNAVAILABLE"},
		{name: "error without a code", req: "x", runs: 1, handle: fails(fmt.Errorf("out of ink")), want: "UNKNOWN", parts: []string{"out of ink"}, observed: "UNKNOWN"},
	}
}

// outcome says in one line what an error tells its caller.
func outcome(e *status.Error) string {
	s := e.Code().String()
	if e.NotRun() {
		s += " not run"
	}
	if d, ok := e.RetryAfter(); ok {
		s += fmt.Sprint(" retry after ", d)
	}
	if e.DoNotRetry() {
		s += " do not retry"
	}
	if n := len(e.Details()); n > 0 {
		s += fmt.Sprintf(" %d details", n)
	}
	return s
}

// TestRules: no protocol is another door. Each rule, with a unary call and with
// one whose callee streams, has the same outcome for callers, handlers,
// interceptors and observers over every protocol.
func TestRules(t *testing.T) {
	for _, d := range doors() {
		t.Run(d.name, func(t *testing.T) {
			for _, r := range rules() {
				for _, m := range []*call.Method{unary.Descriptor(), get.Descriptor(), split.Descriptor()} {
					t.Run(r.name+"/"+m.Name(), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { d.obeys(t, r, m) })
					})
				}
			}
		})
	}
}

func (d *door) obeys(t *testing.T, r rule, m *call.Method) {
	switch {
	case r.client != "" && d.peer == "rpcx":
		r.want, r.parts = r.client, nil
	case r.packed != "" && d.packed:
		r.want, r.observed = r.packed, r.packed
	}
	runs := 0
	var peer call.Peer
	s, c := d.site(t, func(ctx context.Context, req string) (string, error) {
		runs++
		peer, _ = rpcx.PeerFromContext(ctx)
		rpcx.SetHeader(ctx, metadata.Pairs("x-head", "h", "x-head-bin", "\x00\xff"))
		rpcx.SetTrailer(ctx, metadata.Pairs("x-tail", "t"))
		if r.handle != nil {
			return r.handle(ctx, req)
		}
		return req, nil
	}, r.options...)
	ctx := t.Context()
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	a := c(ctx, m, []string{r.req}, r.md)
	synctest.Wait()
	if got := outcome(a.err); got != r.want {
		t.Errorf("ended with %v (%s), want %s", a.err, got, r.want)
	}
	for _, part := range r.parts {
		if !strings.Contains(a.err.Message(), part) {
			t.Errorf("%q does not say %q", a.err.Message(), part)
		}
	}
	if strings.Contains(a.err.Message(), "secret") {
		t.Errorf("the caller sees %q", a.err.Message())
	}
	if runs != r.runs {
		t.Errorf("the handler ran %d times, want %d", runs, r.runs)
	}
	want := ""
	if r.observed != "" {
		want = m.Name() + " " + r.observed
	}
	if got := s.observer.calls(); got != want {
		t.Errorf("observers saw %q, want %q", got, want)
	}
	if runs > 0 && (peer.Protocol != d.peer || peer.Secure != d.secure || (peer.TLS != nil) != d.secure || peer.Addr == nil) {
		t.Errorf("the handler saw the peer %+v", peer)
	}
	if a.err == nil {
		if got := strings.Join(a.res, ""); got != r.req {
			t.Errorf("answered %.40q, want %.40q", got, r.req)
		}
		if a.header.Get("x-head") != "h" || a.header.Get("x-head-bin") != "\x00\xff" || a.trailer.Get("x-tail") != "t" {
			t.Errorf("answered with header %q and trailer %q", a.header, a.trailer)
		}
	}
}

// site returns a server that can be called through d, and a caller.
func (d *door) site(t *testing.T, h handler, opts ...rpcx.ServerOption) (*site, caller) {
	t.Helper()
	if !d.secure {
		s := newSite(t, h, opts...)
		return s, d.open(t, s, nil)
	}
	server, client := secrets(t)
	s := newSite(t, h, append(opts, rpcx.WithTLS(server))...)
	return s, d.open(t, s, client)
}
