package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// route is what answers the requests of one path.
type route struct {
	handler                      http.Handler
	callerStreams, calleeStreams bool
}

// routes are made when the first request comes, and again when methods have been
// registered since.
type routes struct {
	methods int // that there were
	byPath  map[string]*route
	unknown *route // for methods that are not served
}

// route returns what answers calls of the method that u names, or nil. A name has
// one spelling, so that whoever stands before us and knows it is not passed by.
func (g *Gateway) route(u *url.URL) *route {
	if u.RawPath != "" || strings.Contains(u.EscapedPath(), "%") {
		return nil
	}
	return g.current().byPath[u.Path]
}

func (g *Gateway) unknown() *route { return g.current().unknown }

func (g *Gateway) current() *routes {
	n := g.cfg.Dispatcher.Registered()
	if r := g.routes.Load(); r != nil && r.methods == n {
		return r
	}
	g.routing.Lock()
	defer g.routing.Unlock()
	if r := g.routes.Load(); r != nil && r.methods == n {
		return r // somebody else has made them
	}
	methods := g.cfg.Dispatcher.Methods()
	r := &routes{methods: len(methods), byPath: make(map[string]*route, len(methods))}
	server := connect.NewServer()
	for _, m := range methods {
		server.Register(connect.Method{
			Spec: httpform.SpecOf(m.Handler.Method),
			Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
				return g.serve(ctx, m, stream)
			},
		})
		r.byPath[m.FullName()] = &route{callerStreams: m.Kind().CallerStreams(), calleeStreams: m.Kind().CalleeStreams()}
	}
	options := []connecthttp.Option{
		connecthttp.WithCodecs(g.codecs.all()...),
		connecthttp.WithCompressors(g.codecs.compressors...),
		connecthttp.WithCompressMinBytes(g.codecs.compressFrom),
		connecthttp.WithReadMaxBytes(g.cfg.MaxMessage),
	}
	connecthttp.Mount(mount(func(path string, h http.Handler) {
		if known := r.byPath[path]; known != nil {
			known.handler = h
		}
	}), server, options...)
	r.unknown = unknownRoute(options)
	g.routes.Store(r)
	return r
}

// mount is what connect tells of its handlers.
type mount func(path string, h http.Handler)

func (m mount) Handle(path string, h http.Handler) { m(path, h) }

// unknownRoute answers calls of methods that are not served, in their protocol.
func unknownRoute(options []connecthttp.Option) *route {
	server := connect.NewServer()
	server.SetUnknownHandler(func(_ context.Context, spec connect.Spec, _ connect.ServerStream) error {
		return httpform.ToConnect(status.New(status.Unimplemented, fmt.Sprintf("method %s is not served here", spec.Procedure)))
	})
	// connect has a handler for the unknown methods of each service that it knows.
	server.Register(connect.Method{Spec: connect.Spec{Procedure: "/none/None"}})
	r := &route{callerStreams: true, calleeStreams: true}
	connecthttp.Mount(mount(func(path string, h http.Handler) {
		if strings.HasSuffix(path, "/") {
			r.handler = unserved(h)
		}
	}), server, options...)
	return r
}

// unserved has h, which refuses whatever comes, do so with status 404: that a path
// is not there has a status of its own, unlike a call that ends so.
func unserved(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(notFound{w}, r) })
}

// notFound answers 404 instead of 501.
type notFound struct{ http.ResponseWriter }

func (w notFound) WriteHeader(status int) {
	if status == http.StatusNotImplemented {
		status = http.StatusNotFound
	}
	w.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher, which connect wants.
func (w notFound) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() } // the next write fails, too
