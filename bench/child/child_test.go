package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/bench/workload"
)

// The test binary is also the child that the tests start.
func TestMain(m *testing.M) {
	// Otherwise each child waits a second at its end for reports of races.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	for _, p := range []workload.Peer{
		{Name: "echo", Kinds: workload.Kinds, Serve: serveGate, Dial: dial(func() error { return nil })},
		{Name: "failing", Serve: serveNothing, Dial: dial(func() error { return errors.New("no luck") })},
		{Name: "dying", Serve: serveNothing, Dial: dial(func() error { os.Exit(3); return nil })},
		{Name: "unreachable", Serve: serveNothing, Dial: func(workload.Target) (workload.Client, error) {
			return nil, errors.New("nobody there")
		}},
	} {
		workload.Register(p)
	}
	if len(os.Args) == 3 && os.Args[1] == Argument {
		if err := Run(os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveNothing accepts connections and leaves them alone.
func serveNothing(lis workload.Listener) error {
	for {
		if _, err := lis.Accept(); err != nil {
			return err
		}
	}
}

// serveGate has every connection pass the gate of handlers once.
func serveGate(lis workload.Listener) error {
	for {
		if _, err := lis.Accept(); err != nil {
			return err
		}
		go workload.Handlers.Pass()
	}
}

// client's callers all make the same call.
type client struct{ call workload.Caller }

func (c client) NewCaller(workload.Cell) (workload.Caller, error) { return c.call, nil }
func (c client) Close() error                                     { return nil }

func dial(call workload.Caller) func(workload.Target) (workload.Client, error) {
	return func(to workload.Target) (workload.Client, error) {
		if _, err := to.Connect(); err != nil {
			return nil, err
		}
		return client{call}, nil
	}
}

var cell = workload.Cell{Kind: workload.Unary, Bytes: 128, Callers: 2}

// startPair starts the server and the client of a peer.
func startPair(t *testing.T, peer string) (server, client *Process, err error) {
	t.Helper()
	server, err = Start(context.Background(), Config{Role: Server, Peer: peer, Cell: cell})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	client, err = Start(context.Background(), Config{Role: Client, Peer: peer, Cell: cell, Hello: server.Hello()})
	if err == nil {
		t.Cleanup(client.Stop)
	}
	return server, client, err
}

func TestMeasuresWhatTheCallersDo(t *testing.T) {
	server, client, err := startPair(t, "echo")
	if err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(t.TempDir(), "client.pprof")
	if err := client.StartProfile(profile); err != nil {
		t.Fatal(err)
	}
	before, err := client.Usage()
	if err != nil {
		t.Fatal(err)
	}
	phase, err := client.Run(50 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	after, err := client.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if phase.Messages == 0 || phase.Elapsed < 50*time.Millisecond {
		t.Errorf("phase is %+v", phase)
	}
	if spent := after.Since(before); spent.CPU <= 0 || spent.Allocs == 0 {
		t.Errorf("the client spent %+v", spent)
	}
	if err := errors.Join(client.EndProfile(), server.Collect()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("profile: %v, %v", info, err)
	}
}

func TestHoldsHandlers(t *testing.T) {
	server, err := Start(context.Background(), Config{Role: Server, Peer: "echo", Cell: cell})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	if err := server.Hold(); err != nil {
		t.Fatal(err)
	}
	idle := workload.Cell{Kind: workload.Idle, Bytes: 128, Callers: 3}
	client, err := Start(context.Background(), Config{Role: Client, Peer: "echo", Cell: idle, Hello: server.Hello()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Stop)
	if err := errors.Join(client.Once(3, 2), server.Await(3), server.Release()); err != nil {
		t.Fatal(err)
	}
	if bytes, err := server.Memory(); err != nil || bytes <= 0 {
		t.Errorf("memory is %d, %v", bytes, err)
	}
}

func TestErrorsNameTheChild(t *testing.T) {
	for _, c := range []struct{ peer, want string }{
		{"unreachable", "unreachable client of unary/128/2: nobody there"},
		{"failing", "failing client of unary/128/2: caller [01], after 0 calls: no luck"}, // whichever is first
		{"dying", "dying client of unary/128/2: it ended: EOF"},
	} {
		_, client, err := startPair(t, c.peer)
		if err == nil {
			_, err = client.Run(time.Second)
		}
		if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%s: error is %v, want %q in it", c.peer, err, c.want)
		}
	}
	if _, err := Start(context.Background(), Config{Role: "spectator", Peer: "echo"}); err == nil {
		t.Error("a child with a role that does not exist started")
	}
}

func TestStopEndsTheChild(t *testing.T) {
	p, err := Start(context.Background(), Config{Role: Server, Peer: "echo", Cell: cell})
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if state := p.cmd.ProcessState; state == nil || !state.Success() {
		t.Errorf("the child's end is %v, want exit status 0", state)
	}
	if conn, err := net.Dial("tcp", p.Hello().Addr); err == nil {
		conn.Close()
		t.Error("the server of a child that was stopped still listens")
	}
}

func TestChildrenStartNone(t *testing.T) {
	t.Setenv(Variable, "1")
	if p, err := Start(context.Background(), Config{Role: Server, Peer: "echo", Cell: cell}); err == nil {
		p.Stop()
		t.Error("a child started a child")
	}
}
