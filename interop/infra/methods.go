package main

import (
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// The methods with the messages that grpc-go has for them.
var (
	reflectionInfo = rpcx.NewMethod[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse](
		rpcx.MethodSpec{Service: "grpc.reflection.v1.ServerReflection", Name: "ServerReflectionInfo", Kind: rpcx.BidiStream})
	healthCheck = rpcx.NewMethod[healthpb.HealthCheckRequest, healthpb.HealthCheckResponse](
		rpcx.MethodSpec{Service: "grpc.health.v1.Health", Name: "Check"})
	healthList = rpcx.NewMethod[healthpb.HealthListRequest, healthpb.HealthListResponse](
		rpcx.MethodSpec{Service: "grpc.health.v1.Health", Name: "List"})
	healthWatch = rpcx.NewMethod[healthpb.HealthCheckRequest, healthpb.HealthCheckResponse](
		rpcx.MethodSpec{Service: "grpc.health.v1.Health", Name: "Watch", Kind: rpcx.ServerStream})
)

func listRequest() *reflectionpb.ServerReflectionRequest {
	return &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{ListServices: "*"},
	}
}
