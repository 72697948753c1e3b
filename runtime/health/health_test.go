package health

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/grpcproto"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// serve has a server serve in memory until stop is called.
func serve(t *testing.T) (h *Server, srv *rpcx.Server, conn *rpcx.Conn, stop func()) {
	t.Helper()
	network := rpcxtest.NewNetwork()
	srv = rpcx.NewServer()
	h = Register(srv)
	l := network.Listener()
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l)
	}()
	conn, err := rpcx.Dial("server:1", rpcx.WithDialer(network.Dial))
	if err != nil {
		t.Fatal(err)
	}
	return h, srv, conn, func() {
		conn.Close()
		srv.Close()
		<-done
	}
}

func check(t *testing.T, conn *rpcx.Conn, service string) string {
	t.Helper()
	m := methods()["Check"]
	req, res := m.NewRequest(), m.NewResponse()
	grpcproto.Of(req).Set("service", service)
	if err := conn.CallUnary(t.Context(), m, req, res); err != nil {
		return status.CodeOf(err).String()
	}
	return statusOf(res).String()
}

func statusOf(res any) Status {
	m := grpcproto.Of(res)
	return Status(m.Get(m.Descriptor().Fields().ByName("status")).Enum())
}

func watch(t *testing.T, ctx context.Context, conn *rpcx.Conn, service string) (next func() string) {
	t.Helper()
	m := methods()["Watch"]
	req := m.NewRequest()
	grpcproto.Of(req).Set("service", service)
	s, err := conn.CallStream(ctx, m, req)
	if err != nil {
		t.Fatal(err)
	}
	return func() string {
		res := m.NewResponse()
		if err := s.Recv(res); err != nil {
			return status.CodeOf(err).String()
		}
		return statusOf(res).String()
	}
}

func TestCheck(t *testing.T) {
	h, _, conn, stop := serve(t)
	defer stop()
	want := func(service, want string) {
		t.Helper()
		if got := check(t, conn, service); got != want {
			t.Errorf("%q is %s, want %s", service, got, want)
		}
	}
	want("", "SERVING")
	want("users.v1.Users", "NOT_FOUND")
	h.SetStatus("users.v1.Users", NotServing)
	want("users.v1.Users", "NOT_SERVING")
	want("", "SERVING")
	h.SetStatus("", Unknown)
	want("", "UNKNOWN")
	h.Shutdown()
	h.SetStatus("", Serving)
	h.SetStatus("users.v1.Users", Serving)
	want("", "NOT_SERVING")
	want("users.v1.Users", "NOT_SERVING")
	want("others.v1.Others", "NOT_FOUND")
}

func TestList(t *testing.T) {
	h, _, conn, stop := serve(t)
	defer stop()
	m := methods()["List"]
	list := func() (string, error) {
		res := m.NewResponse()
		err := conn.CallUnary(t.Context(), m, m.NewRequest(), res)
		all := grpcproto.Of(res).Get(grpcproto.Of(res).Descriptor().Fields().ByName("statuses")).Map()
		var out []string
		for _, service := range []string{"", "a", "b", "c"} {
			if v := all.Get(key(service)); v.IsValid() {
				out = append(out, fmt.Sprintf("%q %v", service, statusOf(v.Message().Interface())))
			}
		}
		return strings.Join(out, ", "), err
	}
	h.SetStatus("b", NotServing)
	h.SetStatus("a", Serving)
	if got, err := list(); got != `"" SERVING, "a" SERVING, "b" NOT_SERVING` || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	for i := range maxListed {
		h.SetStatus(fmt.Sprint("service", i), Serving)
	}
	if _, err := list(); status.CodeOf(err) != status.ResourceExhausted || !strings.Contains(err.Error(), "103 services") {
		t.Errorf("got %v", err)
	}
}

func TestWatch(t *testing.T) {
	h, _, conn, stop := serve(t)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	whole, users := watch(t, ctx, conn, ""), watch(t, ctx, conn, "users.v1.Users")
	want := func(next func() string, want string) {
		t.Helper()
		if got := next(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	want(whole, "SERVING")
	want(users, "SERVICE_UNKNOWN")
	h.SetStatus("users.v1.Users", Serving)
	want(users, "SERVING")
	h.SetStatus("users.v1.Users", Serving) // no change
	h.SetStatus("", NotServing)
	want(whole, "NOT_SERVING")
	h.SetStatus("users.v1.Users", NotServing)
	want(users, "NOT_SERVING")
	cancel()
	want(whole, "CANCELLED")
	want(users, "CANCELLED")
}

// TestShutdown: watchers hear of it before the server tells its clients to go,
// and do not hold it up.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, srv, conn, stop := serve(t)
		defer stop()
		h.SetStatus("users.v1.Users", Serving)
		var all []func() string
		for _, service := range []string{"", "users.v1.Users", "others.v1.Others"} {
			next := watch(t, t.Context(), conn, service)
			next()
			all = append(all, next)
		}
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		for i, want := range []string{"NOT_SERVING UNAVAILABLE", "NOT_SERVING UNAVAILABLE", "UNAVAILABLE UNAVAILABLE"} {
			if got := all[i]() + " " + all[i](); got != want {
				t.Errorf("watcher %d saw %s, want %s", i, got, want)
			}
		}
	})
}

// TestShared: one Server may answer for several servers; each that shuts down ends it.
func TestShared(t *testing.T) {
	h := NewServer()
	a, b := rpcx.NewServer(), rpcx.NewServer()
	h.Register(a)
	h.Register(b)
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, err := h.check(t.Context(), methods()["Check"].NewRequest())
	if err != nil || statusOf(res) != NotServing {
		t.Errorf("got %v, %v", res, err)
	}
	a.Close()
	if err := h.watch(t.Context(), failing{}); status.CodeOf(err) != status.Internal {
		t.Errorf("got %v", err)
	}
}

// failing is a stream on which nothing can be received.
type failing struct{ call.ServerStream }

func (failing) Recv(any) error { return status.New(status.Internal, "no") }

func TestStatusNames(t *testing.T) {
	values := methods()["Check"]
	enum := grpcproto.Of(values.NewResponse()).Descriptor().Fields().ByName("status").Enum().Values()
	for i := range enum.Len() {
		if v := enum.Get(i); Status(v.Number()).String() != string(v.Name()) {
			t.Errorf("%v is %v in the protocol", Status(v.Number()), v.Name())
		}
	}
	if got := Status(7).String(); got != "STATUS_7" {
		t.Errorf("got %s", got)
	}
}
