// Infra is a program that links this module's reflection and health services and
// those of grpc-go. It serves both kinds and prints what reflection lists: that it
// starts at all shows that their descriptors do not clash.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcreflection "google.golang.org/grpc/reflection"

	"github.com/rpcx-go/rpcx/runtime/health"
	"github.com/rpcx-go/rpcx/runtime/reflection"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

func main() {
	theirs := grpc.NewServer()
	healthpb.RegisterHealthServer(theirs, grpchealth.NewServer())
	grpcreflection.Register(theirs)
	defer theirs.Stop()

	ours := rpcx.NewServer()
	health.Register(ours)
	reflection.Register(ours)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ours.Serve(l) }()
	defer func() {
		ours.Close()
		<-served
	}()
	conn, err := rpcx.Dial(l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := list(conn); err != nil {
		log.Fatal(err)
	}
}

// list prints the services that reflection tells of.
func list(conn *rpcx.Conn) error {
	stream, err := rpcx.CallBidiStream(context.Background(), conn, reflectionInfo)
	if err != nil {
		return err
	}
	if err := stream.Send(listRequest()); err != nil && err != io.EOF {
		return err
	}
	res, err := stream.Recv()
	if err != nil {
		return err
	}
	for _, s := range res.GetListServicesResponse().GetService() {
		fmt.Println(s.GetName())
	}
	return stream.Close()
}
