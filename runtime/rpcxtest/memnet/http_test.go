package memnet

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHTTP runs a client and server of the standard library over a network:
// they use most of what a net.Conn promises, deadlines that interrupt a Read
// among it.
func TestHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Network{Buffer: 1000}
		srv := &http.Server{
			ReadTimeout: time.Minute,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				ok(t, err)
				_, err = w.Write(body)
				ok(t, err)
			}),
		}
		served := make(chan error)
		l := n.Listener()
		go func() { served <- srv.Serve(l) }()
		transport := &http.Transport{DialContext: n.Dial}
		client := &http.Client{Transport: transport, Timeout: time.Minute}

		for _, size := range []int{0, 10, 100_000} {
			body := strings.Repeat("x", size)
			res, err := client.Post("http://any.name/", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if err != nil || string(got) != body {
				t.Errorf("%d bytes came back of %d: %v", len(got), size, err)
			}
			res.Body.Close()
		}

		transport.CloseIdleConnections()
		ok(t, srv.Shutdown(t.Context()))
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
}
