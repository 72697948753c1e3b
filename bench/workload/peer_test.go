package workload

import (
	"errors"
	"io"
	"net"
	"testing"
)

// counted is a client that counts those of its peer.
type counted struct{ dialed, closed, called *int }

func (c counted) NewCaller(Cell) (Caller, error) {
	return func() error { *c.called++; return nil }, nil
}
func (c counted) Close() error { *c.closed++; return nil }

func TestCallersOfKinds(t *testing.T) {
	for _, c := range []struct {
		kind                                   Kind
		callers, beside, dialed, closed, total int // after each has called once
	}{
		{Unary, 3, 0, 1, 0, 3},
		{Bidi, 3, 0, 1, 0, 3},
		{Mixed, 3, 1, 1, 0, 4},
		{Short, 3, 0, 3, 3, 3},
		{Idle, 3, 0, 3, 0, 3},
		{Slow, 3, 0, 1, 0, 3},
	} {
		var dialed, closed, called int
		p := Peer{Dial: func(Target) (Client, error) {
			dialed++
			return counted{&dialed, &closed, &called}, nil
		}}
		callers, beside, err := p.Callers(Target{}, Cell{Kind: c.kind, Bytes: 1, Callers: 3})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(CallOnce(callers, 1), CallOnce(beside, 1)); err != nil {
			t.Fatal(err)
		}
		if len(callers) != c.callers || len(beside) != c.beside || dialed != c.dialed || closed != c.closed || called != c.total {
			t.Errorf("%s: %d callers and %d beside made %d calls over %d connections, of which %d were closed; want %+v",
				c.kind, len(callers), len(beside), called, dialed, closed, c)
		}
	}
}

func TestSecuredListener(t *testing.T) {
	config, certificate, err := SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	go func() {
		conn, err := Listener{lis, config}.Secured().Accept()
		if err == nil {
			_, _ = io.WriteString(conn, "hello")
			conn.Close()
		}
	}()
	conn, err := Target{"tcp", lis.Addr().String(), Trusting(certificate)}.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
}
