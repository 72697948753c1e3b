// Package health has a server tell load balancers whether it wants calls, by
// gRPC's protocol of health checks.
//
// The service is an ordinary one, answered over every protocol that the server
// speaks.
package health

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/grpcproto"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Status is how a service is. The values are those of the protocol.
type Status int32

// The statuses. ServiceUnknown is what watchers see of a service whose status
// has not been set.
const (
	Unknown        Status = 0
	Serving        Status = 1
	NotServing     Status = 2
	ServiceUnknown Status = 3
)

// String returns the name of the protocol, such as "SERVING".
func (s Status) String() string {
	switch s {
	case Unknown:
		return "UNKNOWN"
	case Serving:
		return "SERVING"
	case NotServing:
		return "NOT_SERVING"
	case ServiceUnknown:
		return "SERVICE_UNKNOWN"
	}
	return fmt.Sprintf("STATUS_%d", int32(s))
}

// maxListed is how many services List tells of.
const maxListed = 100

// Server holds the statuses of services and answers those who ask. Its methods
// may be called concurrently.
type Server struct {
	mu       sync.Mutex
	statuses map[string]Status
	changed  chan struct{} // closed when a status changes, and another takes its place
	down     bool          // no status changes any more
}

// NewServer returns a Server by which the server as a whole, "", is serving and
// no other service is known.
func NewServer() *Server {
	return &Server{statuses: map[string]Status{"": Serving}, changed: make(chan struct{})}
}

// Registrar is what a health service is registered with: an rpcx.Server.
type Registrar interface {
	rpcx.Registrar
	OnShutdown(func())
}

// Register registers a new Server with s and returns it.
func Register(s Registrar) *Server {
	h := NewServer()
	h.Register(s)
	return h
}

// Register registers grpc.health.v1.Health with s. When s begins to shut down,
// h does, too.
func (h *Server) Register(s Registrar) {
	m := methods()
	s.Register(
		call.Handler{Method: m["Check"], Unary: h.check},
		call.Handler{Method: m["List"], Unary: h.list},
		call.Handler{Method: m["Watch"], Stream: h.watch},
	)
	s.OnShutdown(h.Shutdown)
}

// SetStatus says how a service is, by its full name, or the server as a whole,
// "". Each service has a status of its own: none follows from another. After
// Shutdown it does nothing.
func (h *Server) SetStatus(service string, s Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return
	}
	h.statuses[service] = s
	h.tellLocked()
}

// Shutdown has all services be NOT_SERVING for good, and calls of Watch end with
// UNAVAILABLE once they have said so.
func (h *Server) Shutdown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = true
	for service := range h.statuses {
		h.statuses[service] = NotServing
	}
	h.tellLocked()
}

func (h *Server) tellLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// methods returns the service's methods by name.
var methods = sync.OnceValue(func() map[protoreflect.Name]*call.Method {
	return grpcproto.Methods("grpc.health.v1.Health")
})

func (h *Server) check(_ context.Context, req any) (any, error) {
	service := grpcproto.Of(req).Text("service")
	h.mu.Lock()
	s, known := h.statuses[service]
	h.mu.Unlock()
	if !known {
		return nil, status.New(status.NotFound, "the status of this service is not known")
	}
	res := methods()["Check"].NewResponse()
	set(grpcproto.Of(res), s)
	return res, nil
}

func set(m grpcproto.Message, s Status) { m.Set("status", protoreflect.EnumNumber(s)) }

func (h *Server) list(context.Context, any) (any, error) {
	h.mu.Lock()
	all := maps.Clone(h.statuses)
	h.mu.Unlock()
	if len(all) > maxListed {
		return nil, status.Errorf(status.ResourceExhausted, "%d services have a status, at most %d are listed (fixed)", len(all), maxListed)
	}
	res := methods()["List"].NewResponse()
	for _, service := range slices.Sorted(maps.Keys(all)) {
		set(grpcproto.Of(res).PutNew("statuses", service), all[service])
	}
	return res, nil
}

// watch sends the status of a service, and again whenever it has changed.
// Changes that follow each other faster than they can be sent are passed over,
// but for the last one.
func (h *Server) watch(ctx context.Context, stream call.ServerStream) error {
	m := methods()["Watch"]
	req := m.NewRequest()
	if err := stream.Recv(req); err != nil {
		return err
	}
	service := grpcproto.Of(req).Text("service")
	for told := Status(-1); ; {
		h.mu.Lock()
		now, known := h.statuses[service]
		changed, down := h.changed, h.down
		h.mu.Unlock()
		if !known {
			now = ServiceUnknown
		}
		if now != told {
			res := m.NewResponse()
			set(grpcproto.Of(res), now)
			if err := stream.Send(res); err != nil {
				return err
			}
			told = now
		}
		if down {
			return status.New(status.Unavailable, "the server is shutting down")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
