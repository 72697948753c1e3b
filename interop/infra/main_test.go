package main

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/rpcx-go/rpcx/runtime/health"
	"github.com/rpcx-go/rpcx/runtime/reflection"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestProgram: a program that links both starts, and lists its services.
func TestProgram(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "infra")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(bin).CombinedOutput()
	want := "grpc.health.v1.Health\ngrpc.reflection.v1.ServerReflection\ngrpc.reflection.v1alpha.ServerReflection\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}

// serve has both services served over every protocol, in memory, and returns a
// native connection and one of grpc-go.
func serve(t *testing.T) (*health.Server, *rpcx.Server, *rpcx.Conn, *grpc.ClientConn) {
	t.Helper()
	network := rpcxtest.NewNetwork()
	srv := rpcx.NewServer(rpcxhttp.WithHTTP())
	h := health.Register(srv)
	reflection.Register(srv)
	l := network.Listener()
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l)
	}()
	native, err := rpcx.Dial("server:1", rpcx.WithDialer(network.Dial))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := grpc.NewClient("passthrough:///server:1", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dialer(network)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		native.Close()
		theirs.Close()
		srv.Close()
		<-done
	})
	return h, srv, native, theirs
}

// TestHealthNative: grpc-go's messages over the native protocol.
func TestHealthNative(t *testing.T) {
	h, srv, conn, _ := serve(t)
	ctx := t.Context()
	res, err := rpcx.CallUnary(ctx, conn, healthCheck, &healthpb.HealthCheckRequest{})
	if err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("check: %v, %v", res, err)
	}
	if _, err := rpcx.CallUnary(ctx, conn, healthCheck, &healthpb.HealthCheckRequest{Service: "x.X"}); status.CodeOf(err) != status.NotFound {
		t.Errorf("check of an unknown service: %v", err)
	}
	h.SetStatus("x.X", health.NotServing)
	list, err := rpcx.CallUnary(ctx, conn, healthList, &healthpb.HealthListRequest{})
	if err != nil || len(list.GetStatuses()) != 2 || list.GetStatuses()["x.X"].GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("list: %v, %v", list, err)
	}
	watch, err := rpcx.CallServerStream(ctx, conn, healthWatch, &healthpb.HealthCheckRequest{Service: "y.Y"})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := watch.Recv(); err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		t.Errorf("watch: %v, %v", res, err)
	}
	h.SetStatus("y.Y", health.Serving)
	if res, err := watch.Recv(); err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("watch: %v, %v", res, err)
	}
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if res, err := watch.Recv(); err != nil || res.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("watch: %v, %v", res, err)
	}
	if _, err := watch.Recv(); status.CodeOf(err) != status.Unavailable {
		t.Errorf("watch ends with %v", err)
	}
}

// TestHealthGRPC: grpc-go's client.
func TestHealthGRPC(t *testing.T) {
	h, srv, _, conn := serve(t)
	ctx, client := t.Context(), healthpb.NewHealthClient(conn)
	res, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("check: %v, %v", res, err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "x.X"}); grpcstatus.Code(err) != codes.NotFound {
		t.Errorf("check of an unknown service: %v", err)
	}
	if list, err := client.List(ctx, &healthpb.HealthListRequest{}); err != nil || len(list.GetStatuses()) != 1 {
		t.Errorf("list: %v, %v", list, err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "y.Y"})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := watch.Recv(); err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		t.Errorf("watch: %v, %v", res, err)
	}
	h.SetStatus("y.Y", health.Serving)
	if res, err := watch.Recv(); err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("watch: %v, %v", res, err)
	}
	shutdown := make(chan error, 1)
	go func() { shutdown <- srv.Shutdown(context.WithoutCancel(ctx)) }()
	if res, err := watch.Recv(); err != nil || res.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("watch: %v, %v", res, err)
	}
	if _, err := watch.Recv(); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("watch ends with %v", err)
	}
	if err := <-shutdown; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// TestReflectionGRPC: grpc-go's client, both versions. The
// descriptors that come make a service again.
func TestReflectionGRPC(t *testing.T) {
	_, _, _, conn := serve(t)
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(listRequest()); err != nil {
		t.Fatal(err)
	}
	res, err := stream.Recv()
	if n := len(res.GetListServicesResponse().GetService()); err != nil || n != 3 {
		t.Errorf("%d services, %v", n, err)
	}
	err = stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "grpc.health.v1.Health"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if res, err = stream.Recv(); err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	for _, b := range res.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var f descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, &f)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := files.FindDescriptorByName("grpc.health.v1.Health.Watch"); err != nil {
		t.Errorf("%v, %v", d, err)
	}

	// The older version has the same messages under other names.
	old, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
	if err != nil {
		t.Fatal(err)
	}
	err = old.SendMsg(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: "nobody.proto"},
	})
	if err != nil {
		t.Fatal(err)
	}
	res.Reset()
	err = old.RecvMsg(res)
	if e := res.GetErrorResponse(); err != nil || codes.Code(e.GetErrorCode()) != codes.NotFound || !strings.Contains(e.GetErrorMessage(), "nobody.proto") {
		t.Errorf("%v, %v", res, err)
	}
}

// dialer has grpc-go dial in memory.
func dialer(network *rpcxtest.Network) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) { return network.Dial(ctx, "tcp", addr) }
}
