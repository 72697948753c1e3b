package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

// exchange is one request and its answer.
type exchange struct {
	w    http.ResponseWriter
	r    *http.Request
	conn *fallback.Conn
	body *promptBody // nil if the caller streams
}

type exchangeKey struct{}

// stalled reports whether the client stopped in the middle of its request.
func (x *exchange) stalled() bool { return x.body != nil && x.body.stalled.Load() }

// answer answers a request: a call, or whatever the server's user serves beside.
func (g *Gateway) answer(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer g.leave()
	conn, _ := r.Context().Value(connKey{}).(*fallback.Conn)
	// Of a message with a length of both kinds net/http believes one, and whoever
	// stands before us perhaps the other, so that the next request might not be
	// one. After it, and once the connection is old, it is closed.
	chunked := r.ProtoMajor == 1 && len(r.TransferEncoding) > 0
	if chunked || conn.Retired.Load() {
		w.Header().Set("Connection", "close")
	}
	if g.origins.preflight(w, r) {
		return
	}
	route := g.route(r.URL.Path)
	if route == nil && !isCall(r) {
		g.other(w, r)
		return
	}
	if !acceptable(r) {
		w.Header().Set("Accept-Post", acceptPost)
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	if err := g.origins.check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	g.origins.allow(w, r)
	if route == nil {
		route = g.unknown()
	}
	x := &exchange{w: w, conn: conn}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	if !route.callerStreams {
		x.body = &promptBody{ReadCloser: r.Body, rc: http.NewResponseController(w), patience: g.cfg.WriteStall}
		r.Body = x.body
	}
	if route.callerStreams && route.calleeStreams && r.ProtoMajor == 1 {
		// net/http can do both at once over HTTP/1.1 if it is told to. The version
		// is what connect looks at.
		if http.NewResponseController(w).EnableFullDuplex() == nil {
			r.ProtoMajor, r.ProtoMinor = 2, 0
		}
	}
	x.r = r
	route.handler.ServeHTTP(w, r)
}

func (g *Gateway) other(w http.ResponseWriter, r *http.Request) {
	if g.opts.Other == nil {
		http.NotFound(w, r)
		return
	}
	g.opts.Other.ServeHTTP(w, r)
}

// contentTypes are those of calls, or what they begin with.
var contentTypes = []string{"application/json", "application/proto", "application/connect+", "application/grpc"}

const acceptPost = "application/json, application/proto, application/connect+json, application/connect+proto, application/grpc, application/grpc-web"

// isCall reports whether a request looks like a call.
func isCall(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	contentType := strings.ToLower(r.Header.Get("Content-Type"))
	for _, c := range contentTypes {
		if rest, ok := strings.CutPrefix(contentType, c); ok && (c[len(c)-1] == '+' || rest == "" || strings.ContainsAny(rest[:1], "; +-")) {
			return true
		}
	}
	return false
}

// acceptable reports whether a request for a method can be a call: a page of
// another origin cannot send one without asking beforehand.
func acceptable(r *http.Request) bool { return r.Method != http.MethodPost || isCall(r) }

// size returns how large the single message of a request is, as far as the
// request states it beforehand, and else 0.
func (x *exchange) size() int64 {
	switch {
	case x.body == nil || x.r.Method != http.MethodPost:
		return 0
	case strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/connect+"), strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/grpc"):
		return x.body.prefixed()
	}
	return x.r.ContentLength
}

// promptBody is the body of a request with one message, which must come without
// long pauses. One goroutine reads it.
type promptBody struct {
	io.ReadCloser
	rc       *http.ResponseController
	patience time.Duration // 0: for ever
	stalled  atomic.Bool
	head     [5]byte // read ahead; what is left of it is head[from:to]
	from, to int
}

// prefixed returns the length that stands before the message, behind a byte of
// flags, or 0 if that cannot be read.
func (b *promptBody) prefixed() int64 {
	n, err := io.ReadFull(b, b.head[:])
	if b.to = n; err != nil {
		return 0
	}
	return int64(binary.BigEndian.Uint32(b.head[1:]))
}

func (b *promptBody) Read(p []byte) (int, error) {
	if b.from < b.to {
		n := copy(p, b.head[b.from:b.to])
		b.from += n
		return n, nil
	}
	if b.patience > 0 {
		_ = b.rc.SetReadDeadline(time.Now().Add(b.patience)) // nothing more can be done if that cannot be
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.stalled.Store(true)
	case err != nil && b.patience > 0:
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
