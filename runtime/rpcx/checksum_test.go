package rpcx_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

func TestChecksums(t *testing.T) {
	conn, _ := start(t, &echo{}, rpcx.WithChecksums())
	callAll(t, conn, strings.Repeat("some words ", 30_000))
}

// TestDamagedFrame: without checksums a bit that flips in a payload is part of
// the message. With them it ends the connection; as the server says that the
// call never ran, it is sent again over another one.
func TestDamagedFrame(t *testing.T) {
	for _, sums := range []bool{false, true} {
		network := rpcxtest.NewNetwork()
		var faults []*rpcxtest.Fault
		network.WrapDial = func(nc *rpcxtest.Conn) net.Conn {
			f := rpcxtest.NewFault(nc)
			faults = append(faults, f)
			return f
		}
		sopts, dopts := []rpcx.ServerOption{}, []rpcx.DialOption{rpcx.WithDialer(network.Dial)}
		if sums {
			sopts, dopts = append(sopts, rpcx.WithChecksums()), append(dopts, rpcx.WithChecksums())
		}
		srv := rpcx.NewServer(sopts...)
		(&echo{}).register(srv)
		go srv.Serve(network.Listener())
		conn, err := rpcx.Dial("echo", dopts...)
		if err != nil {
			t.Fatal(err)
		}
		call := func() (string, error) {
			got, err := rpcx.CallUnary(context.Background(), conn, echoUnary, wrapperspb.String(strings.Repeat("a", 1000)))
			return got.GetValue(), err
		}
		if _, err := call(); err != nil {
			t.Fatal(err)
		}
		f := faults[0]
		f.Add(rpcxtest.Step{In: rpcxtest.Outbound, After: f.Offset(rpcxtest.Outbound) + 500, Do: rpcxtest.FlipBit(0)})
		got, err := call()
		whole := err == nil && got == strings.Repeat("a", 1000)
		switch {
		case sums && (!whole || len(faults) != 2):
			t.Errorf("with checksums: got %q, %v over %d connections", got, err, len(faults))
		case !sums && (whole || err != nil):
			t.Errorf("without: the damage was not seen: %v", err)
		}
		conn.Close()
		srv.Close()
	}
}
