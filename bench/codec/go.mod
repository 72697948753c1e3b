module github.com/rpcx-go/rpcx/bench/codec

go 1.26.0

replace github.com/rpcx-go/rpcx => ../../

require (
	github.com/planetscale/vtprotobuf v0.6.0
	github.com/rpcx-go/rpcx v0.0.0-00010101000000-000000000000
	google.golang.org/protobuf v1.36.12
)

tool github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto
