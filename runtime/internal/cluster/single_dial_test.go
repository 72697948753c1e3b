package cluster

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// plainSingle is a line to addr without anything of the user's.
func plainSingle(t *testing.T, addr string) *Single {
	s := NewSingle(Config{
		Endpoint:    address.Endpoint{Network: "tcp", Addr: addr},
		DialTimeout: 10 * time.Second,
		Backoff:     Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		Transport:   transportConfig(),
		Log:         slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { s.Close() })
	return s
}

func TestPatient(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		left time.Duration // until the deadline; 0: there is none
		edit func(*Config)
		want bool
	}{
		"for ever":                          {want: true},
		"a deadline behind that of dialing": {left: time.Hour, want: true},
		"a deadline before it":              {left: time.Second},
		"may be cancelled":                  {ctx: canceled},
		"the user dials":                    {edit: func(c *Config) { c.Dial = new(net.Dialer).DialContext }},
		"TLS": {edit: func(c *Config) {
			c.Secure = func(context.Context, net.Conn, string) (net.Conn, error) { return nil, nil }
		}},
		"observed": {edit: func(c *Config) { c.Observers = []call.Observer{call.NopObserver{}} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := plainSingle(t, "127.0.0.1:1")
			if test.edit != nil {
				test.edit(&s.cfg)
			}
			ctx, deadline := context.Background(), time.Time{}
			if test.ctx != nil {
				ctx = test.ctx
			}
			if test.left > 0 {
				deadline = time.Now().Add(test.left)
			}
			if got := s.patient(ctx, deadline); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// TestPatientCallersDial: one of those that come together dials, and the others have
// its connection; when there is no server all are told.
func TestPatientCallersDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := dispatch.New(dispatch.Config{Log: slog.New(slog.DiscardHandler)})
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer l.Close()
	tasks.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			srv := transport.NewServer(context.Background(), nc, transportConfig(), d, &call.Peer{Addr: nc.RemoteAddr()})
			tasks.Go(func() { srv.Serve() })
		}
	})
	for _, settled := range []bool{false, true} {
		s := plainSingle(t, l.Addr().String())
		var callers sync.WaitGroup
		picked := make([]Client, 8)
		for i := range picked {
			callers.Go(func() {
				c, err := s.pick(context.Background(), time.Time{}, false, settled)
				if err != nil {
					t.Error(err)
				}
				picked[i] = c
			})
		}
		callers.Wait()
		for _, c := range picked {
			if c != picked[0] {
				t.Error("there is more than one connection")
			}
		}
		s.Close()
	}
	l.Close()
	s := plainSingle(t, l.Addr().String())
	if _, err := s.Pick(context.Background(), time.Time{}, false); err.Code() != status.Unavailable || !err.NotRun() {
		t.Errorf("without a server: %v", err)
	}
}
