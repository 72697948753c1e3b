// Grpcgo is the interoperability suite of grpc-go as a program: its server, and its
// client's test cases one by one. It is a program of its own because the suite's
// messages cannot be linked twice, and because a case that fails ends the process.
//
//	grpcgo serve [-cert FILE -key FILE]     serves until standard input ends
//	grpcgo call -addr HOST:PORT [-ca FILE] CASE
//	grpcgo protos FILE                      writes the suite's protos, compiled
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "grpcgo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say serve, call or protos")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	cert := flags.String("cert", "", "`file` with the server's certificate; without it there is no TLS")
	key := flags.String("key", "", "`file` with the certificate's key")
	addr := flags.String("addr", "", "`host:port` to call")
	ca := flags.String("ca", "", "`file` with the certificate to trust; without it there is no TLS")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "serve":
		return serve(*cert, *key)
	case "call":
		return call(*addr, *ca, flags.Arg(0))
	case "protos":
		return protos(flags.Arg(0))
	}
	return fmt.Errorf("%q is none of serve, call and protos", args[0])
}

// serve prints its address first.
func serve(cert, key string) error {
	var opts []grpc.ServerOption
	if cert != "" {
		creds, err := credentials.NewServerTLSFromFile(cert, key)
		if err != nil {
			return err
		}
		opts = append(opts, grpc.Creds(creds))
	}
	srv := grpc.NewServer(opts...)
	testgrpc.RegisterTestServiceServer(srv, interop.NewTestServer())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whoever started it is gone
		srv.Stop()
	}()
	return srv.Serve(lis)
}

// cases are those of the suite that need nothing but a server.
var cases = map[string]func(ctx context.Context, c testgrpc.TestServiceClient, conn *grpc.ClientConn){
	"empty_unary":                 plain(interop.DoEmptyUnaryCall),
	"large_unary":                 plain(interop.DoLargeUnaryCall),
	"client_streaming":            plain(interop.DoClientStreaming),
	"server_streaming":            plain(interop.DoServerStreaming),
	"ping_pong":                   plain(interop.DoPingPong),
	"empty_stream":                plain(interop.DoEmptyStream),
	"timeout_on_sleeping_server":  plain(interop.DoTimeoutOnSleepingServer),
	"cancel_after_begin":          plain(interop.DoCancelAfterBegin),
	"cancel_after_first_response": plain(interop.DoCancelAfterFirstResponse),
	"status_code_and_message":     plain(interop.DoStatusCodeAndMessage),
	"special_status_message":      plain(interop.DoSpecialStatusMessage),
	"custom_metadata":             plain(interop.DoCustomMetadata),
	"unimplemented_method": func(ctx context.Context, _ testgrpc.TestServiceClient, conn *grpc.ClientConn) {
		interop.DoUnimplementedMethod(ctx, conn)
	},
	"unimplemented_service": func(ctx context.Context, _ testgrpc.TestServiceClient, conn *grpc.ClientConn) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	},
}

func plain(f func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, testgrpc.TestServiceClient, *grpc.ClientConn) {
	return func(ctx context.Context, c testgrpc.TestServiceClient, _ *grpc.ClientConn) { f(ctx, c) }
}

// call runs a case; one that fails ends the process.
func call(addr, ca, name string) error {
	f, ok := cases[name]
	if !ok {
		return fmt.Errorf("there is no case %q", name)
	}
	creds := insecure.NewCredentials()
	if ca != "" {
		var err error
		if creds, err = credentials.NewClientTLSFromFile(ca, "localhost"); err != nil {
			return err
		}
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f(ctx, testgrpc.NewTestServiceClient(conn), conn)
	fmt.Println(name, "passed")
	return nil
}

// protos writes the files from which the suite's code has been generated, as far
// as the test service needs them.
func protos(name string) error {
	var set descriptorpb.FileDescriptorSet
	for _, file := range []protoreflect.FileDescriptor{
		testgrpc.File_grpc_testing_empty_proto, testgrpc.File_grpc_testing_messages_proto, testgrpc.File_grpc_testing_test_proto,
	} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&set)
	if err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}
