package rpcxhttp_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

// TestRouteHeader: over HTTP the hash of a route key is a header, and the calls
// with one key go to one server of several.
func TestRouteHeader(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]map[string]int{} // server → header → calls
	target := "static:///"
	for i := range 3 {
		var name string
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if seen[name] == nil {
				seen[name] = map[string]int{}
			}
			seen[name][r.Header.Get("Rpcx-Route")]++
			w.Header().Set("Content-Type", "application/proto")
		}))
		defer srv.Close()
		name = srv.Listener.Addr().String()
		if i > 0 {
			target += ","
		}
		target += name
	}
	conn, err := rpcx.Dial(target, rpcxhttp.WithConnect())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call := func(opts ...rpcx.CallOption) {
		t.Helper()
		if _, err := rpcx.CallUnary(t.Context(), conn, unary, wrapperspb.String("x"), opts...); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		call(rpcx.WithRouteKey(rpcx.TextKey("abc")))
		call()
	}
	mu.Lock()
	defer mu.Unlock()
	homes, without := 0, 0
	for _, headers := range seen {
		if headers["44bc2cf5ad770999"] == 10 { // xxHash64 of "abc"
			homes++
		}
		without += headers[""]
	}
	if homes != 1 || without != 10 {
		t.Errorf("seen: %v", seen)
	}
}
