package gateway

import (
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

// exchange is one request and its answer.
type exchange struct {
	w    *pacedWriter
	r    *http.Request
	conn *fallback.Conn
	body *pacedBody
}

type exchangeKey struct{}

// answer answers a request: a call, or whatever the server's user serves beside.
func (g *Gateway) answer(rw http.ResponseWriter, r *http.Request) {
	w := &pacedWriter{ResponseWriter: rw, rc: http.NewResponseController(rw), patience: g.cfg.WriteStall}
	if !g.enter() {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer g.leave()
	defer g.panicked(r)
	conn, _ := r.Context().Value(connKey{}).(*fallback.Conn)
	r.RemoteAddr = conn.Peer.Addr.String() // a proxy may have said whose it is
	if mayHide(r) || conn.Retired.Load() {
		w.Header().Set("Connection", "close")
	}
	route := g.route(r.URL)
	if (route != nil || g.opts.Other == nil) && g.origins.preflight(w, r) {
		return
	}
	if route == nil && !isCall(r) && g.opts.Other != nil {
		g.opts.Other.ServeHTTP(&hijackable{rw, g, conn}, r)
		return
	}
	body := &pacedBody{ReadCloser: r.Body, rc: w.rc, budget: g.cfg.Budget}
	if body.ended.Store(r.ContentLength == 0); r.ProtoMajor == 1 {
		w.body = body
		defer w.hurryBody() // what is left is read after the call, too
	}
	if why, status := g.refusal(w, r, route); status != 0 {
		http.Error(w, why, status)
		return
	}
	g.origins.allow(w, r)
	if route == nil {
		route = g.unknown()
	}
	g.call(&exchange{w: w, conn: conn, body: body}, r, route)
}

// call has a call answered.
func (g *Gateway) call(x *exchange, r *http.Request, route *route) {
	defer x.body.release()
	if !route.callerStreams {
		x.body.patience = g.cfg.WriteStall
	}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	r.Body = x.body
	if route.callerStreams && route.calleeStreams && r.ProtoMajor == 1 {
		// net/http can do both at once over HTTP/1.1 if it is told to. The version
		// is what connect looks at.
		if x.w.rc.EnableFullDuplex() == nil {
			r.ProtoMajor, r.ProtoMinor = 2, 0
		}
	}
	x.r = r
	route.handler.ServeHTTP(x.w, r)
}

// panicked, deferred, logs a panic of a handler that is no call's, and has net/http
// end the request without a word of its own.
func (g *Gateway) panicked(r *http.Request) {
	if p := recover(); p != nil {
		if p != http.ErrAbortHandler {
			g.cfg.Log.Error("HTTP handler panicked", "url", r.URL.Path, "peer", r.RemoteAddr, "panic", p, "stack", string(debug.Stack()))
		}
		panic(http.ErrAbortHandler)
	}
}

// mayHide reports whether what follows a request on its connection may be part of
// it to whoever stands before us. Of a message with lengths of both kinds net/http
// believes one, and a proxy perhaps the other; in HTTP/1.0 it ignores chunks.
func mayHide(r *http.Request) bool {
	return r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0)
}

// refusal says why a request is not taken for a call, and with which status; 0 if
// it is.
func (g *Gateway) refusal(w http.ResponseWriter, r *http.Request, route *route) (string, int) {
	switch {
	case !g.hosted(r):
		return "this host is not served here", http.StatusMisdirectedRequest
	case route == nil && !isCall(r):
		return "404 page not found", http.StatusNotFound
	case r.Method == http.MethodPost && !isCall(r):
		// A page of another origin can send others without asking.
		w.Header().Set("Accept-Post", acceptPost)
		return "415 unsupported media type", http.StatusUnsupportedMediaType
	}
	if err := g.origins.check(r); err != nil {
		return err.Error(), http.StatusForbidden
	}
	return "", 0
}

// hosted reports whether the server answers for the host that a request names.
func (g *Gateway) hosted(r *http.Request) bool {
	if len(g.opts.Hosts) == 0 {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return slices.ContainsFunc(g.opts.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
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
