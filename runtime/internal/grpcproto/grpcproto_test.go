package grpcproto

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// TestPrivate: the descriptors are in no global registry, where those of grpc-go
// would clash with them.
func TestPrivate(t *testing.T) {
	for _, name := range []string{"grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto", "grpc/health/v1/health.proto"} {
		if _, err := Files().FindFileByPath(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := protoregistry.GlobalFiles.FindFileByPath(name); err == nil {
			t.Errorf("%s is registered globally", name)
		}
	}
}

func TestMethods(t *testing.T) {
	m := Methods("grpc.health.v1.Health")
	if len(m) != 3 || m["Watch"].Kind() != call.KindServerStream || m["Check"].FullName() != "/grpc.health.v1.Health/Check" {
		t.Errorf("got %v", m)
	}
	r := Methods("grpc.reflection.v1alpha.ServerReflection")["ServerReflectionInfo"]
	if r.Kind() != call.KindBidiStream {
		t.Errorf("%v is %v", r, r.Kind())
	}
	req := Of(r.NewRequest())
	if got := req.Which("message_request"); got != "" {
		t.Errorf("nothing is set, but %q", got)
	}
	req.Sub("file_containing_extension").Set("extension_number", int32(7))
	if got := req.Which("message_request"); got != "file_containing_extension" || req.Sub(got).Int("extension_number") != 7 {
		t.Errorf("%q is set", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("finds a service that there is not")
		}
	}()
	Methods("grpc.health.v1.HealthCheckRequest2")
}
