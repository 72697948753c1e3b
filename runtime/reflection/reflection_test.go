package reflection

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/internal/grpcproto"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
	_ "github.com/rpcx-go/rpcx/testdata/gen/fields"
	_ "github.com/rpcx-go/rpcx/testdata/gen/proto2"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcx"
)

// serve has a server with reflection and the users serve, and returns a Conn to it.
func serve(t *testing.T, dopts ...rpcx.DialOption) *rpcx.Conn {
	t.Helper()
	network := rpcxtest.NewNetwork()
	srv := rpcx.NewServer(rpcx.WithCodec(jsoncodec.Codec))
	Register(srv)
	usersv1rpcx.RegisterUsersServer(srv, usersv1rpcx.UnimplementedUsersServer{})
	l := network.Listener()
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l)
	}()
	conn, err := rpcx.Dial("server:1", append(dopts, rpcx.WithDialer(network.Dial))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		srv.Close()
		<-done
	})
	return conn
}

// client asks over one stream.
type client struct {
	t *testing.T
	m *call.Method
	call.ClientStream
}

func open(t *testing.T, conn *rpcx.Conn, m *call.Method) *client {
	t.Helper()
	s, err := conn.CallStream(t.Context(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &client{t, m, s}
}

// ask returns the answer to a request that fill fills in.
func (c *client) ask(fill func(req grpcproto.Message)) grpcproto.Message {
	c.t.Helper()
	req, res := c.m.NewRequest(), c.m.NewResponse()
	grpcproto.Of(req).Set("host", "here")
	fill(grpcproto.Of(req))
	if err := c.Send(req); err != nil {
		c.t.Fatal(err)
	}
	if err := c.Recv(res); err != nil {
		c.t.Fatal(err)
	}
	answer := grpcproto.Of(res)
	if original := answer.Sub("original_request"); !proto.Equal(original.Interface(), req.(proto.Message)) || answer.Text("valid_host") != "here" {
		c.t.Errorf("the answer is to %v from %q", original.Interface(), answer.Text("valid_host"))
	}
	return answer
}

// askText sets one field of the request.
func (c *client) askText(field, text string) string {
	c.t.Helper()
	return show(c.ask(func(req grpcproto.Message) { req.Set(protoreflect.Name(field), text) }))
}

func (c *client) askExtension(of string, number int32) string {
	c.t.Helper()
	return show(c.ask(func(req grpcproto.Message) {
		ext := req.Sub("file_containing_extension")
		ext.Set("containing_type", of)
		ext.Set("extension_number", number)
	}))
}

// show returns the essence of an answer.
func show(res grpcproto.Message) string {
	kind := res.Which("message_response")
	sub := res.Sub(kind)
	var out []string
	switch kind {
	case "error_response":
		return fmt.Sprintf("%v: %s", status.Code(sub.Int("error_code")), sub.Text("error_message"))
	case "list_services_response":
		list := sub.Get(sub.Descriptor().Fields().ByName("service")).List()
		for i := range list.Len() {
			out = append(out, grpcproto.Message{Message: list.Get(i).Message()}.Text("name"))
		}
	case "all_extension_numbers_response":
		out = append(out, sub.Text("base_type_name")+":")
		list := sub.Get(sub.Descriptor().Fields().ByName("extension_number")).List()
		for i := range list.Len() {
			out = append(out, fmt.Sprint(list.Get(i).Int()))
		}
	case "file_descriptor_response":
		list := sub.Get(sub.Descriptor().Fields().ByName("file_descriptor_proto")).List()
		for i := range list.Len() {
			var f descriptorpb.FileDescriptorProto
			if err := proto.Unmarshal(list.Get(i).Bytes(), &f); err != nil {
				return err.Error()
			}
			out = append(out, f.GetName())
		}
	}
	return strings.Join(out, " ")
}

func TestReflection(t *testing.T) {
	const (
		userFiles = "users.proto rpcx/options/v1/options.proto google/protobuf/descriptor.proto"
	)
	long := strings.Repeat("x", 1000)
	for _, test := range []struct{ field, text, want string }{
		{"list_services", "", "golden.users.v1.Users grpc.reflection.v1.ServerReflection grpc.reflection.v1alpha.ServerReflection"},
		{"file_by_filename", "users.proto", userFiles},
		{"file_containing_symbol", "golden.users.v1.Users", userFiles},
		{"file_containing_symbol", "golden.users.v1.Users.Get", userFiles},
		{"file_containing_symbol", "golden.users.v1.User.name", userFiles},
		{"file_containing_symbol", "grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"},
		{"file_by_filename", "grpc/reflection/v1alpha/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"},
		{"file_containing_symbol", "grpc.health.v1.Health", "grpc/health/v1/health.proto"},
		{"all_extension_numbers_of_type", "golden.users.v1.User", "golden.users.v1.User:"},
		{"all_extension_numbers_of_type", "golden.fields.Extended", "golden.fields.Extended: 100"},
		{"all_extension_numbers_of_type", "golden.users.v1.Users", `NOT_FOUND: message "golden.users.v1.Users" is not known here`},
		{"all_extension_numbers_of_type", "nobody.Knows", `NOT_FOUND: symbol "nobody.Knows" is not known here`},
		{"file_by_filename", "nobody.proto", `NOT_FOUND: file "nobody.proto" is not known here`},
		{"file_by_filename", "", `NOT_FOUND: file "" is not known here`},
		{"file_containing_symbol", "", `NOT_FOUND: symbol "" is not known here`},
		{"file_containing_symbol", ".golden.users.v1.Users", `NOT_FOUND: symbol ".golden.users.v1.Users" is not known here`},
		{"file_containing_symbol", long, `NOT_FOUND: symbol "` + long[:200] + `…" is not known here`},
	} {
		for _, m := range methods() {
			if got := open(t, serve(t), m).askText(test.field, test.text); got != test.want {
				t.Errorf("%s %s of %s:\n got %s\nwant %s", test.field, test.text, m, got, test.want)
			}
		}
	}
}

// TestExtensions finds extensions by their numbers.
func TestExtensions(t *testing.T) {
	c := open(t, serve(t), methods()[0])
	const of = "google.protobuf.MethodOptions"
	numbers := strings.Fields(c.askText("all_extension_numbers_of_type", of))
	if len(numbers) < 2 || numbers[0] != of+":" || !slices.IsSorted(numbers[1:]) {
		t.Fatalf("got %v", numbers)
	}
	var number int32
	fmt.Sscan(numbers[1], &number)
	if got := c.askExtension(of, number); !strings.HasPrefix(got, "rpcx/options/v1/options.proto ") {
		t.Errorf("extension %d is in %s", number, got)
	}
	for _, no := range []int32{0, -1, 1, 99_999} {
		if got, want := c.askExtension(of, no), fmt.Sprintf("NOT_FOUND: extension %d of %q is not known here", no, of); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := c.askExtension("nobody.Knows", 7); !strings.HasPrefix(got, "NOT_FOUND") {
		t.Errorf("got %s", got)
	}
}

// TestImportsOnce: what a file imports is carried once by a stream; a file that
// is asked for by name, each time.
func TestImportsOnce(t *testing.T) {
	c := open(t, serve(t, rpcx.WithCodec(jsoncodec.Codec)), methods()[0])
	first := c.askText("file_by_filename", "users.proto")
	if n := len(strings.Fields(first)); n < 3 {
		t.Fatalf("only %s", first)
	}
	for range 2 {
		if got, want := c.askText("file_by_filename", "users.proto"), "users.proto"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got, want := c.askText("file_by_filename", "google/protobuf/descriptor.proto"), "google/protobuf/descriptor.proto"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestEnd: a request that asks for nothing ends the call, a half-close ends it well.
func TestEnd(t *testing.T) {
	c := open(t, serve(t), methods()[0])
	c.askText("list_services", "")
	if err := c.Send(c.m.NewRequest()); err != nil {
		t.Fatal(err)
	}
	if err := c.Recv(c.m.NewResponse()); status.CodeOf(err) != status.InvalidArgument {
		t.Errorf("got %v", err)
	}
	c = open(t, serve(t), methods()[1])
	if err := c.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := c.Recv(c.m.NewResponse()); err != io.EOF {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := serve(t).CallStream(ctx, methods()[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.Recv(methods()[0].NewResponse()); status.CodeOf(err) != status.Canceled {
		t.Errorf("got %v", err)
	}
}

// TestLater: services that are registered later are listed, too.
func TestLater(t *testing.T) {
	srv := rpcx.NewServer()
	Register(srv)
	if got := len(srv.Services()); got != 2 {
		t.Errorf("%d services", got)
	}
	usersv1rpcx.RegisterUsersServer(srv, usersv1rpcx.UnimplementedUsersServer{})
	a := answerer{services: srv.Services, sent: map[string]bool{}}
	req, res := methods()[0].NewRequest(), methods()[0].NewResponse()
	grpcproto.Of(req).Set("list_services", "*")
	if err := a.answer(grpcproto.Of(req), grpcproto.Of(res)); err != nil {
		t.Fatal(err)
	}
	if got := show(grpcproto.Of(res)); !strings.HasPrefix(got, "golden.users.v1.Users ") {
		t.Errorf("got %s", got)
	}
}
