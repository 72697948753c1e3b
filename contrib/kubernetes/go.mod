module github.com/rpcx-go/rpcx/contrib/kubernetes

go 1.26.0

replace github.com/rpcx-go/rpcx => ../../

require (
	github.com/google/go-cmp v0.7.0
	github.com/rpcx-go/rpcx v0.0.0-00010101000000-000000000000
	go.uber.org/goleak v1.3.0
)

require github.com/cespare/xxhash/v2 v2.3.0 // indirect
