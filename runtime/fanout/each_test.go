package fanout

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// fakeInstance stands in for an *rpcx.Instance.
type fakeInstance struct {
	rpcx.Caller
	addr string
}

func (i *fakeInstance) Endpoint() address.Endpoint {
	return address.Endpoint{Network: "tcp", Addr: i.addr}
}

// fakeConn stands in for an *rpcx.Conn with instances.
type fakeConn struct {
	instances []*fakeInstance
	wait      time.Duration
	err       error
}

func (c *fakeConn) Instances(ctx context.Context) ([]*fakeInstance, error) {
	select {
	case <-time.After(c.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return c.instances, c.err
}

func servers(addrs ...string) []*fakeInstance {
	var list []*fakeInstance
	for _, addr := range addrs {
		list = append(list, &fakeInstance{addr: addr})
	}
	return list
}

func TestEach(t *testing.T) {
	conn := &fakeConn{instances: servers("a:1", "b:1", "c:1")}
	answers, err := Each(t.Context(), conn, func(_ context.Context, i *fakeInstance) (string, error) {
		if i.addr == "b:1" {
			return "lost", errAway
		}
		return "from " + i.addr, nil
	})
	at := func(addr string) address.Endpoint { return address.Endpoint{Network: "tcp", Addr: addr} }
	want := []Answer[string]{{at("a:1"), "from a:1", nil}, {at("b:1"), "", errAway}, {at("c:1"), "from c:1", nil}}
	if diff := cmp.Diff(want, answers, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if want := "UNAVAILABLE: 1 of 3 parts failed: tcp://b:1: UNAVAILABLE: away"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if status.FromError(err).NotRun() {
		t.Error("the error says that nothing ran")
	}

	conn.instances = conn.instances[:1]
	answers, err = Each(t.Context(), conn, func(context.Context, *fakeInstance) (string, error) { return "", nil })
	if err != nil || len(answers) != 1 {
		t.Errorf("Each = %v, %v", answers, err)
	}
}

func TestEachWithoutInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name string
			conn *fakeConn
			opts []Option
			want error
		}{
			{"none", &fakeConn{}, nil, status.New(status.Unavailable, "")},
			{"error", &fakeConn{err: errMissing}, nil, errMissing},
			{"late", &fakeConn{wait: time.Hour}, []Option{WithTimeout(time.Second)}, context.DeadlineExceeded},
		} {
			answers, err := Each(t.Context(), test.conn, func(context.Context, *fakeInstance) (int, error) {
				t.Error("a part is begun")
				return 0, nil
			}, test.opts...)
			if !errors.Is(err, test.want) && status.CodeOf(err) != status.CodeOf(test.want) || len(answers) != 0 {
				t.Errorf("%s: %v, %v", test.name, answers, err)
			}
		}
	})
}

// TestEachDeadline has the time that the instances took count.
func TestEachDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		conn := &fakeConn{instances: servers("a:1", "b:1"), wait: 2 * time.Second}
		_, err := Each(t.Context(), conn, func(ctx context.Context, _ *fakeInstance) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, WithTimeout(3*time.Second))
		if took := time.Since(start); took != 3*time.Second || status.CodeOf(err) != status.DeadlineExceeded {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// TestNamesOfConns checks how parts are named that have a target.
func TestNamesOfConns(t *testing.T) {
	conn, err := rpcx.Dial("users.internal:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = All(t.Context(), []*rpcx.Conn{conn}, func(context.Context, *rpcx.Conn) (int, error) { return 0, errAway })
	if want := "UNAVAILABLE: 1 of 1 parts failed: users.internal:7000: UNAVAILABLE: away"; err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
