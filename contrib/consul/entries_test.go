package consul

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// TestAttributes: what others put in becomes endpoints, and what is broken is
// skipped without taking the others away.
func TestAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, _, errs := bubble(t, a)
		a.put("all", "users", "10.0.0.1:1", "passing", func(e *api.ServiceEntry) {
			e.Service.Tags = []string{"ssd", "os=linux", "x=a=b", ""}
			e.Service.Meta = map[string]string{
				"zone": "a", "region": "eu", "role": "leader", "protocol": "grpc", "name": "users.x", "version": "2", "os": "other",
			}
			e.Service.Weights = api.AgentWeights{Passing: math.MaxInt}
			e.Node.Locality = &api.Locality{Zone: "n"}
		})
		a.put("locality", "users", "[fd00::1]:1", "passing", func(e *api.ServiceEntry) {
			e.Service.Locality = &api.Locality{Zone: "z", Region: "r"}
			e.Node.Locality = &api.Locality{Zone: "n"}
			e.Service.Weights = api.AgentWeights{Passing: -5}
		})
		a.put("node", "users", "host.x:1", "passing", func(e *api.ServiceEntry) { e.Node.Locality = &api.Locality{Zone: "n"} })
		a.put("socket", "users", "", "passing", func(e *api.ServiceEntry) { e.Service.SocketPath = "/run/users.sock" })
		a.put("same", "users", "host.x:1", "passing")
		a.put("no port", "users", "10.0.0.3:0", "passing")
		a.put("large port", "users", "10.0.0.3:1", "passing", func(e *api.ServiceEntry) { e.Service.Port = 70000 })
		a.put("no address", "users", ":1", "passing", func(e *api.ServiceEntry) { e.Node = nil })
		a.put("anywhere", "users", "0.0.0.0:1", "passing")
		a.put("nothing", "others", "10.0.0.1:1", "passing")
		w := watch(t, r, "consul:///users")
		synctest.Wait()
		want := []address.Endpoint{
			{Network: "unix", Addr: "/run/users.sock", Weight: 1},
			{
				Network: "tcp", Addr: "10.0.0.1:1", Weight: 1<<31 - 1, Zone: "a", Region: "eu", Role: "leader", Protocol: "grpc", Name: "users.x",
				Tags: map[string]string{"ssd": "", "os": "linux", "x": "a=b", "version": "2", "": ""},
			},
			{Network: "tcp", Addr: "[fd00::1]:1", Zone: "z", Region: "r"},
			{Network: "tcp", Addr: "host.x:1", Weight: 1, Zone: "n"},
		}
		if diff := cmp.Diff(want, w.updates[0].Endpoints); diff != "" || w.updates[0].Err != nil {
			t.Errorf("%v: %s", w.updates[0].Err, diff)
		}
		if err := <-errs; !strings.Contains(err.Error(), "4 of 9 instances are broken and skipped") || !strings.Contains(err.Error(), "consul:///users") {
			t.Errorf("got %v", err)
		}
		a.do(a.bump)
		synctest.Wait()
		if len(errs) != 0 {
			t.Errorf("said again: %v", <-errs)
		}
		a.do(func() {
			a.raw = `[null, {"Service": null}, {}, {"Service": {"Address": "10.0.0.1", "Port": 1}, "Checks": [null]}]`
			a.bump()
		})
		w.see(t, "holes", "10.0.0.1:1")
	})
}

// TestRoundTrip: what a server registers is what clients find.
func TestRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, want := range []address.Endpoint{
			{Network: "tcp", Addr: "10.0.0.1:1", Weight: 1},
			{Network: "unix", Addr: "/run/users.sock", Weight: 1},
			{
				Network: "tcp", Addr: "[fd00::1]:1", Weight: 3, Zone: "a", Region: "eu", Role: "leader", Protocol: "grpc", Name: "users.x",
				Tags: map[string]string{"disk": "ssd", "zone": "of a tag", "gpu": "", "a.b/c": "d=e", "long": strings.Repeat("x", 1000)},
			},
		} {
			r, _, _ := bubble(t, newAgent())
			if _, err := r.Register(t.Context(), "users", want); err != nil {
				t.Error(err)
				continue
			}
			w := watch(t, r, "consul:///users")
			synctest.Wait()
			if diff := cmp.Diff([]address.Endpoint{want}, w.updates[0].Endpoints); diff != "" {
				t.Error(diff)
			}
		}
	})
}
