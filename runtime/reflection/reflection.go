// Package reflection has a server tell clients what it serves, by gRPC's protocol
// of server reflection: tools such as grpcurl and buf curl then need no protos.
//
// The services are ordinary ones, answered over every protocol that the server
// speaks; interceptors see their calls. Whoever may call them learns the names
// and messages of all services.
package reflection

import (
	"context"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/grpcproto"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Server is what a reflection service tells of: an rpcx.Server.
type Server interface {
	rpcx.Registrar
	// Services returns the full names of the registered services.
	Services() []string
}

// Register registers grpc.reflection.v1.ServerReflection and the same of v1alpha,
// which tell of everything that is registered with s, before or later. Descriptors
// are those that are linked into the program.
func Register(s Server) {
	for _, m := range methods() {
		s.Register(call.Handler{Method: m, Stream: func(_ context.Context, stream call.ServerStream) error {
			return answerAll(s, m, stream)
		}})
	}
}

// methods returns the methods of both versions, whose messages have the same
// fields.
var methods = sync.OnceValue(func() []*call.Method {
	var all []*call.Method
	for _, version := range []protoreflect.FullName{"v1", "v1alpha"} {
		all = append(all, grpcproto.Methods("grpc.reflection." + version + ".ServerReflection")["ServerReflectionInfo"])
	}
	return all
})

// answerAll answers the requests of one call.
func answerAll(s Server, m *call.Method, stream call.ServerStream) error {
	a := answerer{services: s.Services, sent: map[string]bool{}}
	for {
		req := m.NewRequest()
		switch err := stream.Recv(req); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
		res := m.NewResponse()
		if err := a.answer(grpcproto.Of(req), grpcproto.Of(res)); err != nil {
			return err
		}
		if err := stream.Send(res); err != nil {
			return err
		}
	}
}

// answerer answers the requests of one call, one after the other.
type answerer struct {
	services func() []string
	sent     map[string]bool // paths of files that the call has carried
}

// answer fills res with the answer to req. Its error ends the call.
func (a *answerer) answer(req, res grpcproto.Message) error {
	res.Set("valid_host", req.Text("host"))
	res.Set("original_request", req)
	var err error
	switch kind := req.Which("message_request"); kind {
	case "file_by_filename":
		err = a.files(res)(fileByPath(req.Text(kind)))
	case "file_containing_symbol":
		err = a.files(res)(fileOfSymbol(req.Text(kind)))
	case "file_containing_extension":
		ext := req.Sub(kind)
		err = a.files(res)(fileOfExtension(ext.Text("containing_type"), ext.Int("extension_number")))
	case "all_extension_numbers_of_type":
		err = extensionNumbers(req.Text(kind), res)
	case "list_services":
		list := res.Sub("list_services_response")
		for _, name := range a.services() {
			list.AppendNew("service").Set("name", name)
		}
	default:
		return status.New(status.InvalidArgument, "the request asks for nothing that is known here")
	}
	if err != nil {
		failed := res.Sub("error_response")
		failed.Set("error_code", int32(status.CodeOf(err)))
		failed.Set("error_message", status.FromError(err).Message())
	}
	return nil
}

// notFound is the error of a thing that is not linked into the program.
func notFound(what, name string) error {
	if len(name) > maxName {
		name = name[:maxName] + "…"
	}
	return status.New(status.NotFound, fmt.Sprintf("%s %q is not known here", what, name))
}

// maxName is how many bytes of a name an error repeats: the request that it
// answers goes back with it anyway.
const maxName = 200
