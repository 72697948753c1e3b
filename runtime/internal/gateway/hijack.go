package gateway

import (
	"bufio"
	"net"
	"net/http"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

// hijackable is the answer to a request that is no call, whose handler may take
// the connection over, for a websocket say. That counts until it is closed.
type hijackable struct {
	http.ResponseWriter
	g    *Gateway
	conn *fallback.Conn
}

// Unwrap has a ResponseController find what it controls.
func (h *hijackable) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Flush implements http.Flusher.
func (h *hijackable) Flush() { _ = http.NewResponseController(h.ResponseWriter).Flush() }

// Hijack implements http.Hijacker.
func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn.Hijacked.Store(true)
	return &hijacked{Conn: nc, end: func() { h.g.ended(nc) }}, rw, nil
}

// hijacked is a connection that a handler has taken over.
type hijacked struct {
	net.Conn
	once sync.Once
	end  func()
}

func (c *hijacked) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.end)
	return err
}
