module github.com/rpcx-go/rpcx/testdata/gen/samepackage

go 1.26.0

require (
	github.com/rpcx-go/rpcx v0.0.0
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

replace github.com/rpcx-go/rpcx => ../../..
